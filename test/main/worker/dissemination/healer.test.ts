/** The Healer: what was asked for once is sent, now or later. Its dissemination is the test. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Healer } from '../../../../src/main/worker/dissemination/healer.js'
import { HEAL_BYTES_PER_SECOND, HEAL_STILL_BYTES_PER_SECOND } from '../../../../src/main/worker/dissemination/limits.js'
import { until } from '../../../support/until.js'

function digestOf(number: number): Uint8Array {
  const digest = Buffer.alloc(32)
  digest.writeUInt32BE(number)
  return digest
}
const numberOf = (digest: Uint8Array): number => Buffer.from(digest).readUInt32BE()

function make(init: { bytes?: number; urgent?: boolean } = {}) {
  const healed: number[] = []
  const refused: string[] = []
  const sendable = new Set<number>()
  const healer = new Healer(
    {
      resender: { recovered: Promise.resolve(), resend: async () => 0 },
      dissemination: {
        heal(digest) {
          healed.push(numberOf(digest))
          return init.bytes ?? 1_000
        },
      },
      canSendTo: (peer) => sendable.has(peer),
      isUrgent: () => init.urgent ?? false,
      nowMs: () => performance.now(),
      watch: (_, promise) => void promise,
    },
    { onRefused: (reason) => refused.push(reason) },
  )
  onTestFinished(() => healer.close())
  return { healed, healer, refused, sendable }
}

test('what a peer could not be sent goes out when it can be, though it was healed for the others just now', async () => {
  const { healed, healer, sendable } = make()
  healer.ask([digestOf(1)], 'a')
  await until('it went to the others', () => healed.length === 1)
  healer.owe(3, digestOf(1))
  healer.tick()
  await sleep(50)
  expect(healed).toEqual([1])
  // Asked for by somebody else, it is not sent again so soon.
  healer.ask([digestOf(1)], 'b')
  await sleep(50)
  expect(healed).toEqual([1])
  sendable.add(3)
  healer.tick()
  await until('it went to the peer', () => healed.length === 2)
  healer.tick()
  await sleep(50)
  expect(healed).toEqual([1, 1])
})

test('what one peer is owed waits for that peer alone', async () => {
  const { healed, healer, sendable } = make()
  healer.owe(2, digestOf(2))
  healer.owe(3, digestOf(3))
  sendable.add(3)
  healer.tick()
  await until('it went out', () => healed.length > 0)
  await sleep(50)
  expect(healed).toEqual([3])
})

test('nothing goes out after the end', async () => {
  const { healed, healer, sendable } = make()
  sendable.add(3)
  healer.close()
  healer.owe(3, digestOf(3))
  healer.tick()
  await sleep(50)
  expect(healed).toEqual([])
})

test('while our primary stands still, more bytes a second go out', async () => {
  // One batch of what may go in two seconds, then one more: the second waits for half of that, or for less.
  const bytes = 1.25 * HEAL_BYTES_PER_SECOND
  const waits = await Promise.all(
    [false, true].map(async (urgent) => {
      const { healed, healer } = make({ bytes, urgent })
      const startedMs = performance.now()
      healer.ask([digestOf(1), digestOf(2)], 'a')
      await until('both went', () => healed.length === 2)
      return performance.now() - startedMs
    }),
  )
  expect(bytes).toBeLessThan(HEAL_STILL_BYTES_PER_SECOND)
  expect(waits[0]).toBeGreaterThan(200)
  expect(waits[1]).toBeLessThan(waits[0]!)
})
