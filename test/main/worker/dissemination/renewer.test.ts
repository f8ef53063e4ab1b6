import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { RENEWALS_MAX } from '../../../../src/main/worker/dissemination/limits.js'
import { Renewer } from '../../../../src/main/worker/dissemination/renewer.js'
import { until } from '../../../support/until.js'

function digestOf(number: number): Uint8Array {
  const digest = Buffer.alloc(32)
  digest.writeUInt32BE(number)
  return digest
}
const numberOf = (digest: Uint8Array): number => Buffer.from(digest).readUInt32BE()
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

function make(init: { there?: boolean; isHeld?: (number: number) => boolean } = {}) {
  const resent: number[] = []
  let renewed = 0
  const state = { there: init.there ?? true, isHeld: init.isHeld ?? (() => false), resent, renewed: () => renewed }
  const renewer = new Renewer(
    {
      resender: {
        async resend({ digest, report, again }) {
          expect([report, again]).toEqual([true, true])
          await sleep(1)
          // One is not stored any more.
          if (numberOf(digest) === 13) return 0
          resent.push(numberOf(digest))
          return 500
        },
      },
      dissemination: { letGo: (digest) => (state.isHeld(numberOf(digest)) ? 'leaving' : 'not-held') },
      isPrimaryThere: () => state.there,
      log: { info() {} },
      watch: (_, promise) => void promise,
    },
    {
      onRenewed: () => {
        renewed += 1
      },
    },
  )
  onTestFinished(() => renewer.close())
  return { renewer, state }
}

test('each goes out once, in order, however often it is asked for', async () => {
  const { renewer, state } = make()
  renewer.add(range(20).map(digestOf))
  renewer.add(range(20).map(digestOf))
  await until('all went out', () => renewer.size === 0)
  expect(state.resent).toEqual(range(20).filter((number) => number !== 13))
  expect(state.renewed()).toBe(19)
})

test('nothing goes out while the primary is away: it would only grow old again', async () => {
  const { renewer, state } = make({ there: false })
  renewer.add(range(3).map(digestOf))
  renewer.tick()
  await sleep(20)
  expect([state.resent, renewer.size]).toEqual([[], 3])
  state.there = true
  renewer.tick()
  await until('all went out', () => renewer.size === 0)
  expect(state.resent).toEqual([0, 1, 2])
})

test('one whose slot a peer still holds up waits behind the others', async () => {
  const { renewer, state } = make({ isHeld: (number) => number === 0 })
  renewer.add(range(4).map(digestOf))
  await until('the others went out', () => state.resent.length === 3)
  expect([state.resent, renewer.size]).toEqual([[1, 2, 3], 1])
  state.isHeld = () => false
  await until('it went out', () => renewer.size === 0)
  expect(state.resent.at(-1)).toBe(0)
})

test('sealing is to pause when as many wait as reports can', () => {
  const { renewer } = make({ there: false })
  renewer.add(range(RENEWALS_MAX - 1).map(digestOf))
  expect(renewer.isFull).toBe(false)
  renewer.add([digestOf(RENEWALS_MAX)])
  expect(renewer.isFull).toBe(true)
})
