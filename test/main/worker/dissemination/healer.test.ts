/** The Healer: what was asked for once is sent, now or later. Its dissemination is the test. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Healer } from '../../../../src/main/worker/dissemination/healer.js'
import {
  HEAL_BYTES_PER_SECOND,
  HEAL_STILL_BYTES_PER_SECOND,
  HEALS_OWED_AT_ONCE,
  PUSH_AGAIN_INTERVAL_MS,
} from '../../../../src/main/worker/dissemination/limits.js'
import { digestOf, numberOf } from '../../../support/numbered-digests.js'
import { until } from '../../../support/until.js'

const PEERS = 3

function make(init: { bytes?: number; urgent?: boolean; isRefused?: (number: number) => boolean } = {}) {
  const healed: number[] = []
  /** To whom: undefined for all. */
  const targets: (number | undefined)[] = []
  const resent: (number | undefined)[] = []
  const state = { nowMs: undefined as number | undefined, isHeld: true }
  const refused: string[] = []
  const sendable = new Set<number>()
  const healer = new Healer(
    {
      resender: {
        recovered: Promise.resolve(),
        async resend({ peer }) {
          resent.push(peer)
          return init.bytes ?? 1_000
        },
      },
      dissemination: {
        heal(digest, only) {
          healed.push(numberOf(digest))
          targets.push(only)
          if (only !== undefined && init.isRefused?.(numberOf(digest))) queueMicrotask(() => healer.owe(only, digest))
          return state.isHeld ? (init.bytes ?? 1_000) : 'not-held'
        },
      },
      peers: PEERS,
      canSendTo: (peer) => sendable.has(peer),
      isUrgent: () => init.urgent ?? false,
      nowMs: () => state.nowMs ?? performance.now(),
      watch: (_, promise) => void promise,
    },
    { onRefused: (reason) => refused.push(reason) },
  )
  onTestFinished(() => healer.close())
  return { healed, healer, refused, resent, sendable, state, targets }
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

test('of what one peer is owed so much goes out together, the newest first', async () => {
  const { healed, healer, sendable, state } = make()
  state.nowMs = 0
  sendable.add(3)
  const numbers = Array.from({ length: 2 * HEALS_OWED_AT_ONCE }, (_, number) => number)
  for (const number of numbers) healer.owe(3, digestOf(number))
  healer.tick()
  await until('the first are out', () => healed.length >= HEALS_OWED_AT_ONCE)
  await sleep(50)
  expect([...healed].sort((a, b) => a - b)).toEqual(numbers.slice(HEALS_OWED_AT_ONCE))
  healer.tick()
  await until('the others', () => healed.length === numbers.length)
})

test('and goes to that peer alone, from its slot and from the store', async () => {
  const { healer, resent, sendable, state, targets } = make()
  healer.ask([digestOf(1)], 'a')
  await until('it went to all', () => targets.length === 1)
  sendable.add(3)
  healer.owe(3, digestOf(1))
  healer.tick()
  await until('it went to the peer', () => targets.length === 2)
  expect([targets, resent]).toEqual([[undefined, 3], []])
  state.isHeld = false
  healer.owe(3, digestOf(2))
  healer.tick()
  healer.ask([digestOf(4)], 'a')
  await until('both went from the store', () => resent.length === 2)
  expect(resent).toEqual([3, undefined])
})

test('what a peer is owed and refuses goes to it once in the interval, and what it is owed besides goes meanwhile', async () => {
  const { healed, healer, sendable, state } = make({ isRefused: (number) => number === 1 })
  state.nowMs = 0
  sendable.add(3)
  healer.owe(3, digestOf(1))
  for (let tick = 0; tick < 5; tick += 1) {
    healer.owe(3, digestOf(100 + tick))
    healer.tick()
    await until('it went out', () => healed.includes(100 + tick))
    await sleep(5)
    state.nowMs += 250
  }
  expect(healed.filter((number) => number === 1)).toHaveLength(1)
  state.nowMs = PUSH_AGAIN_INTERVAL_MS
  healer.tick()
  await until('it went again', () => healed.filter((number) => number === 1).length === 2)
})

test('what goes to one peer takes its share of the rate for all', async () => {
  // To all, one of them is more than may go in a second; to one peer, two are less.
  const bytes = 1.25 * HEAL_BYTES_PER_SECOND
  const [toAll, toOne] = [make({ bytes }), make({ bytes })]
  const numbers = [1, 2, 3]
  toAll.healer.ask(numbers.map(digestOf), 'a')
  toOne.sendable.add(3)
  for (const number of numbers) toOne.healer.owe(3, digestOf(number))
  toOne.healer.tick()
  await until('all went to the one', () => toOne.healed.length === numbers.length)
  expect(toAll.healed.length).toBeLessThan(numbers.length)
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
  // More than may go in a second, and less than may go then: the second batch waits, or goes with the first.
  const bytes = 1.25 * HEAL_BYTES_PER_SECOND
  expect(bytes).toBeLessThan(HEAL_STILL_BYTES_PER_SECOND)
  const [usual, urgent] = [make({ bytes }), make({ bytes, urgent: true })]
  for (const { healer, state } of [usual, urgent]) {
    state.nowMs = 0
    healer.ask([digestOf(1), digestOf(2)], 'a')
  }
  await until('both went', () => urgent.healed.length === 2)
  expect(usual.healed).toHaveLength(1)
  await until('the other waited for its time', () => usual.healed.length === 2)
})
