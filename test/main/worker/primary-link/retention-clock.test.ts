import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  CLEANUP_PACE_MS,
  CLEANUP_ROUNDS_PER_SECOND,
  CLEANUP_SILENCE_MS,
  PRIMARY_CONNECT_TIMEOUT_MS,
} from '../../../../src/main/worker/primary-link/limits.js'
import { RetentionClock } from '../../../../src/main/worker/primary-link/retention-clock.js'
import { AWAY_MS_MAX, type Moment } from '../../../../src/shared/freshness.js'

const RETENTION = 1_000
const HALF = RETENTION / 2
/** One round in 100 ms, unless it makes more. */
const IDLE_MS = 100

interface UnderTest {
  readonly clock: RetentionClock
  /** Time passes; it is looked at every 250 ms, as by a worker's tick. */
  readonly pass: (ms: number) => void
  /** So many Cleanups, this many ms apart. */
  readonly rounds: (count: number, apartMs: number) => void
  connected: boolean
}

function make(retentionRounds = RETENTION): UnderTest {
  let nowMs = 1_000
  let connected = true
  const clock = new RetentionClock(
    { retentionRounds, maxHeaderDelayMs: IDLE_MS },
    { nowMs: () => nowMs, isConnected: () => connected },
  )
  clock.begin()
  const under: UnderTest = {
    clock,
    get connected() {
      return connected
    },
    set connected(value) {
      connected = value
      clock.look()
    },
    pass(ms) {
      const endMs = nowMs + ms
      while (nowMs < endMs) {
        nowMs = Math.min(nowMs + 250, endMs)
        clock.look()
      }
    },
    rounds(count, apartMs) {
      for (let round = 0; round < count; round += 1) {
        under.pass(apartMs)
        clock.onRounds(1)
      }
    },
  }
  clock.look()
  return under
}

const between = (a: Moment, b: Moment): Moment => ({ rounds: b.rounds - a.rounds, awayMs: b.awayMs - a.awayMs })

test('while Cleanups come, rounds are what they say, whatever the time', () => {
  const { clock, pass, rounds } = make()
  expect(clock.now()).toEqual({ rounds: 0, awayMs: 0 })
  rounds(40, 1)
  expect(clock.now()).toEqual({ rounds: 40, awayMs: 0 })
  rounds(10, 1_000)
  pass(CLEANUP_SILENCE_MS - 1)
  expect(clock.now()).toEqual({ rounds: 50, awayMs: 0 })
})

test('a certificate is stale when more than half of the retention has passed', () => {
  const { clock, rounds } = make()
  const since = clock.now()
  rounds(HALF, 50)
  expect(clock.isStale(since)).toBe(false)
  rounds(1, 50)
  expect(clock.isStale(since)).toBe(true)
})

test('while the primary is not connected its rounds are estimated at the pace that was seen', () => {
  const under = make()
  // Twice as fast as an idle primary.
  under.rounds(100, IDLE_MS / 2)
  const since = under.clock.now()
  under.connected = false
  under.pass(5_000)
  expect(between(since, under.clock.now())).toEqual({ rounds: expect.closeTo(100, 0), awayMs: 5_000 })
})

test('a primary that was never seen counts as idle, one that is slower too', () => {
  for (const seen of [0, 20]) {
    const under = make()
    under.rounds(seen, 10 * IDLE_MS)
    const since = under.clock.now()
    under.connected = false
    under.pass(10 * IDLE_MS)
    expect(under.clock.now().rounds - since.rounds).toBeCloseTo(10)
  }
})

test('what is to be told to a primary that was away is stale as early as the fastest primary could make it', () => {
  const under = make()
  const since = under.clock.now()
  under.connected = false
  const fastestMs = (HALF / CLEANUP_ROUNDS_PER_SECOND) * 1_000
  under.pass(fastestMs)
  expect(under.clock.isStale(since)).toBe(false)
  under.pass(1)
  expect(under.clock.isStale(since)).toBe(true)
  // An ACK counts as long as the estimate says.
  expect(under.clock.now().rounds - since.rounds).toBeLessThan(HALF)
  under.connected = true
  expect(under.clock.isStale(under.clock.now())).toBe(false)
})

test('a primary that is connected and silent counts as one that goes on, from its last Cleanup on', () => {
  const { clock, pass, rounds } = make()
  rounds(1, 1)
  const since = clock.now()
  pass(CLEANUP_SILENCE_MS + 1)
  expect(between(since, clock.now())).toEqual({
    rounds: expect.closeTo((CLEANUP_SILENCE_MS + 1) / IDLE_MS, 0),
    awayMs: 0,
  })
  pass(10_000)
  expect(clock.now().rounds - since.rounds).toBeCloseTo((CLEANUP_SILENCE_MS + 10_001) / IDLE_MS)
  // It is back, and says how far it is.
  const back = clock.now()
  rounds(3, 1)
  expect(between(back, clock.now()).rounds).toBeCloseTo(3, 1)
})

test('what a primary that comes back makes up for at once is no pace', () => {
  const under = make()
  under.connected = false
  under.pass(10_000)
  under.connected = true
  // A burst, and then it goes on as before.
  under.rounds(300, 0)
  under.rounds((2 * CLEANUP_PACE_MS) / IDLE_MS, IDLE_MS)
  const since = under.clock.now()
  under.connected = false
  under.pass(1_000)
  expect(under.clock.now().rounds - since.rounds).toBeLessThan((2 * 1_000) / IDLE_MS)
})

test('without retention nothing is ever stale', () => {
  const under = make(0)
  const since = under.clock.now()
  under.rounds(1_000, 1)
  under.connected = false
  under.pass(3_600_000)
  expect(under.clock.isStale(since)).toBe(false)
})

test('whatever happens, a moment never falls, and fits its place in a descriptor', () => {
  const step = fc.record({
    connected: fc.boolean(),
    ms: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.constant(2 ** 33)),
    rounds: fc.integer({ min: 0, max: 20_000 }),
  })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let nowMs = 0
      let connected = true
      const clock = new RetentionClock(
        { retentionRounds: 10, maxHeaderDelayMs: 1 },
        { nowMs: () => nowMs, isConnected: () => connected },
      )
      let last = clock.now()
      for (const { connected: isConnected, ms, rounds } of steps) {
        connected = isConnected
        nowMs += ms
        clock.onRounds(rounds)
        const now = clock.now()
        if (now.rounds < last.rounds || now.awayMs < last.awayMs) return false
        if (!Number.isInteger(now.awayMs) || now.awayMs > AWAY_MS_MAX || !Number.isFinite(now.rounds)) return false
        last = now
      }
      return true
    }),
  )
})

test('a primary was away when it may make up for more than half of the retention; one that only begins was not', () => {
  const fastestMs = (HALF / CLEANUP_ROUNDS_PER_SECOND) * 1_000
  for (const begun of [false, true]) {
    const under = make()
    if (begun) under.rounds(1, 1)
    expect(under.clock.wasAway).toBe(false)
    under.connected = false
    under.pass(fastestMs)
    expect(under.clock.wasAway).toBe(false)
    under.pass(1)
    under.connected = true
    expect(under.clock.wasAway).toBe(true)
    under.rounds(1, 1)
    expect(under.clock.wasAway).toBe(false)
    // Connected and silent.
    under.pass((HALF + 1) * IDLE_MS)
    expect(under.clock.wasAway).toBe(true)
  }
  const late = make()
  late.pass(10 * RETENTION * IDLE_MS)
  expect(late.clock.wasAway).toBe(false)
  expect(late.clock.pace).toEqual({ roundsPerMs: 1 / IDLE_MS, retentionMs: RETENTION * IDLE_MS })
})

test.each([
  [PRIMARY_CONNECT_TIMEOUT_MS, false],
  [PRIMARY_CONNECT_TIMEOUT_MS + 1, true],
])('a primary that is first connected %i ms after the start was away: %s', (ms, wasAway) => {
  let nowMs = 0
  let connected = false
  const clock = new RetentionClock(
    { retentionRounds: 100, maxHeaderDelayMs: IDLE_MS },
    { nowMs: () => nowMs, isConnected: () => connected },
  )
  clock.begin()
  nowMs = ms
  connected = true
  clock.look()
  expect(clock.wasAway).toBe(wasAway)
  // What it is told must be fresh in any case.
  expect(clock.isStale({ rounds: 0, awayMs: 0 })).toBe(true)
})
