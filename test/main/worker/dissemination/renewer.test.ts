import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import {
  RENEWAL_BYTES_PER_SECOND,
  RENEWALS_MAX,
  RENEWED_UNDELIVERED_MAX,
  REPEATED_RENEWALS_MAX,
} from '../../../../src/main/worker/dissemination/limits.js'
import { Renewer } from '../../../../src/main/worker/dissemination/renewer.js'
import { digestOf, numberOf } from '../../../support/numbered-digests.js'
import { until } from '../../../support/until.js'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

function make(init: { there?: boolean; isHeld?: (number: number) => boolean } = {}) {
  const resent: number[] = []
  const lines: string[] = []
  let renewed = 0
  const state = {
    there: init.there ?? true,
    isHeld: init.isHeld ?? (() => false),
    nowMs: 0,
    bytes: 500,
    resent,
    lines,
    renewed: () => renewed,
  }
  const renewer = new Renewer(
    {
      resender: {
        async resend({ digest, report, again }) {
          expect([report, again]).toEqual([true, true])
          await sleep(1)
          // One is not stored any more.
          if (numberOf(digest) === 13) return 0
          resent.push(numberOf(digest))
          return state.bytes
        },
      },
      dissemination: { letGo: (digest) => (state.isHeld(numberOf(digest)) ? 'leaving' : 'not-held') },
      isPrimaryThere: () => state.there,
      nowMs: () => state.nowMs,
      log: { info: (line) => lines.push(line) },
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
  renewer.add(range(20).map(digestOf), false)
  renewer.add(range(20).map(digestOf), false)
  await until('all went out', () => renewer.size === 0)
  expect(state.resent).toEqual(range(20).filter((number) => number !== 13))
  expect(state.renewed()).toBe(19)
})

test('nothing goes out while the primary is away: it would only grow old again', async () => {
  const { renewer, state } = make({ there: false })
  renewer.add(range(3).map(digestOf), false)
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
  renewer.add(range(4).map(digestOf), false)
  await until('the others went out', () => state.resent.length === 3)
  expect([state.resent, renewer.size]).toEqual([[1, 2, 3], 1])
  state.isHeld = () => false
  await until('it went out', () => renewer.size === 0)
  expect(state.resent.at(-1)).toBe(0)
})

test('sealing is to pause when as many wait as reports can', () => {
  const { renewer } = make({ there: false })
  renewer.add(range(RENEWALS_MAX - 1).map(digestOf), false)
  expect(renewer.isFull).toBe(false)
  renewer.add([digestOf(RENEWALS_MAX)], false)
  expect(renewer.isFull).toBe(true)
})

test('where so many went out whose report is not delivered, the next go at a bounded rate', async () => {
  const { renewer, state } = make()
  const all = range(2 * RENEWED_UNDELIVERED_MAX).filter((number) => number !== 13)
  // Three of them are worth ten seconds.
  state.bytes = (RENEWAL_BYTES_PER_SECOND * 10) / 3
  renewer.add(all.map(digestOf), false)
  // One more goes, and the next has to wait.
  const sent = RENEWED_UNDELIVERED_MAX + 1
  await until('as many went out as may', () => state.resent.length >= sent)
  await sleep(20)
  expect(state.resent).toEqual(all.slice(0, sent))
})

test('what the primary has, or has to be told once more, makes room for others at once', async () => {
  const { renewer, state } = make()
  state.bytes = (RENEWAL_BYTES_PER_SECOND * 10) / 3
  const digests = range(RENEWED_UNDELIVERED_MAX).map((number) => digestOf(100 + number))
  renewer.add(digests, false)
  await until('all went out', () => renewer.size === 0)
  // The primary was away for long before it had them.
  renewer.add(digests, false)
  await until('all went out once more', () => renewer.size === 0)
  renewer.onDelivered(digests)
  renewer.add(
    range(RENEWED_UNDELIVERED_MAX).map((number) => digestOf(1_000 + number)),
    false,
  )
  await until('others went out', () => renewer.size === 0)
  expect(state.resent).toHaveLength(3 * RENEWED_UNDELIVERED_MAX)
})

test('what was delivered once goes behind what never was, once each, and never makes sealing pause', async () => {
  const { renewer, state } = make({ there: false })
  renewer.add([1, 2, 3, 1].map(digestOf), true)
  renewer.add([4, 2, 5].map(digestOf), false)
  // It waits among the first already.
  renewer.add([digestOf(4)], true)
  expect(renewer.size).toBe(5)
  state.there = true
  renewer.tick()
  await until('all went out', () => renewer.size === 0)
  expect(state.resent).toEqual([4, 2, 5, 1, 3])
})

test('of what was delivered once the newest are kept, and they go out at a bounded rate', async () => {
  const { renewer, state } = make({ there: false })
  renewer.add(range(REPEATED_RENEWALS_MAX + 100).map(digestOf), true)
  expect(renewer.size).toBe(REPEATED_RENEWALS_MAX)
  expect(renewer.isFull).toBe(false)
  state.there = true
  // Three of them are worth ten seconds.
  state.bytes = (RENEWAL_BYTES_PER_SECOND * 10) / 3
  renewer.tick()
  await until('the first went out', () => state.resent.length === 1)
  await sleep(50)
  expect(state.resent).toEqual([100])
})

test('a primary that comes and goes does not fill the log', async () => {
  const { renewer, state } = make()
  for (const number of range(5)) {
    renewer.add([digestOf(number)], false)
    await until('it went out', () => renewer.size === 0)
  }
  expect(state.lines).toHaveLength(1)
  state.nowMs += 60_000
  renewer.add([digestOf(99)], false)
  expect(state.lines).toHaveLength(2)
  expect(state.lines[1]).toMatch(/^1 batches .*\(4 more such lines\)$/)
})
