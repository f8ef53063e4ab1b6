import { describe, expect, test } from 'vitest'
import { Pacing } from '../../../src/threads/primary/pacing.js'

const nobodyBut =
  (...there: number[]) =>
  (author: number): boolean =>
    there.includes(author)

/** Of four, all connected: rounds took so long, and certificates came so long after the quorum. */
function pacingAfter(rounds: number, roundMs: number, lags: Readonly<Record<number, number>>): Pacing {
  const pacing = new Pacing(0, 4, { isConnected: () => true })
  for (let round = 1; round <= rounds; round += 1) {
    pacing.quorum(roundMs)
    for (const [author, lag] of Object.entries(lags)) pacing.arrived(Number(author), round, lag)
  }
  return pacing
}

/** The rounds of these in which somebody is waited for longer than a part of a round. */
function patient(pacing: Pacing, from: number, to: number, roundMs: number, there = [0, 1, 2]): number[] {
  const rounds = Array.from({ length: to - from }, (_, at) => from + at)
  return rounds.filter((round) => pacing.parentsAtMs(round, 0, nobodyBut(...there)) > roundMs / 4)
}

describe('the wait for parents', () => {
  test('is none when all are there, or nobody is connected', () => {
    expect(pacingAfter(9, 40, { 1: 0, 2: 0, 3: 0 }).parentsAtMs(10, 100, nobodyBut(0, 1, 2, 3))).toBe(100)
    const alone = new Pacing(0, 4, { isConnected: () => false })
    for (let round = 0; round < 2000; round += 1) expect(alone.parentsAtMs(round, 100, nobodyBut(0))).toBe(100)
  })

  test('follows twice the usual lag of who is missing, is a quarter of a round at most, and forgets who is silent', () => {
    const pacing = pacingAfter(50, 100, { 1: 0, 2: 5, 3: 20 })
    expect(pacing.parentsAtMs(51, 100, nobodyBut(0, 2, 3)) - 100).toBe(2)
    expect(pacing.parentsAtMs(51, 100, nobodyBut(0, 1, 3)) - 100).toBeCloseTo(10, 5)
    expect(pacing.parentsAtMs(51, 100, nobodyBut(0, 1, 2)) - 100).toBe(25)
    expect(pacing.parentsAtMs(51, 100, nobodyBut(0)) - 100).toBe(25)
    expect(pacing.parentsAtMs(59, 100, nobodyBut(0, 1, 2))).toBe(100)
    // Nor who never comes within it.
    expect(pacingAfter(50, 100, { 3: 26 }).parentsAtMs(51, 100, nobodyBut(0, 1, 2))).toBe(100)
  })

  test.each([
    [60, 25],
    [575, 25],
    [575, 250],
    [5000, 25],
  ])(
    'for one that is %i ms late is as long as it needs, in a sixth of the time at most, at rounds of %i ms',
    (lag, roundMs) => {
      const pacing = pacingAfter(200, roundMs, { 1: 0, 2: 0, 3: lag })
      const rounds = patient(pacing, 512, 2560, roundMs)
      expect(rounds.length).toBeGreaterThan(0)
      const waits = rounds.map((round) => pacing.parentsAtMs(round, 0, nobodyBut(0, 1, 2)))
      for (const wait of waits) expect(wait).toBeGreaterThan(Math.min(lag, 1999))
      const total = waits.reduce((sum, wait) => sum + wait, 0)
      expect(total / (2048 * roundMs)).toBeLessThanOrEqual(1 / 6)
    },
  )

  test('comes in rounds in which those wait as well who see more of a lag', () => {
    const [near, middle, far] = [100, 400, 700].map((lag) => pacingAfter(64, 25, { 1: 0, 2: 0, 3: lag }))
    const of = (pacing: Pacing | undefined): number[] => patient(pacing!, 1, 4096, 25)
    expect(of(near)).toEqual(expect.arrayContaining(of(middle)))
    expect(of(middle)).toEqual(expect.arrayContaining(of(far)))
  })

  test('comes half as often after each time in vain, and as before when it comes, or connects again', () => {
    const pacing = pacingAfter(64, 25, { 1: 0, 2: 0, 3: 500 })
    const count = (): number => patient(pacing, 1, 65_536, 25).length
    const before = count()
    const inVain = (): void => {
      const [round] = patient(pacing, 65_536, 131_073, 25)
      pacing.proposed(round!, 2000, nobodyBut(0, 1, 2))
    }
    inVain()
    // It is waited for longer as well, as long as for anybody.
    expect(count()).toBeLessThanOrEqual(before / 2)
    for (let times = 0; times < 20; times += 1) inVain()
    expect(count()).toBeGreaterThan(0)
    pacing.arrived(3, 100, 500)
    expect(count()).toBe(before)
    inVain()
    pacing.connected(3)
    expect(count()).toBe(before)
  })
})

test('our own certificate is waited for twice as long as it usually needs, within limits', () => {
  const pacing = new Pacing(0, 4, { isConnected: () => true })
  expect(pacing.ownWaitMs(8)).toBe(250)
  for (let times = 0; times < 50; times += 1) pacing.certified(300)
  expect(pacing.ownWaitMs(8)).toBeCloseTo(600, 0)
  // In the next round the others may wait for us. It is no use to hurry if their rounds take as long.
  expect(pacing.ownWaitMs(7)).toBe(0)
  for (let times = 0; times < 9; times += 1) pacing.quorum(320)
  expect(pacing.ownWaitMs(7)).toBeCloseTo(600, 0)
  for (let times = 0; times < 50; times += 1) pacing.certified(30_000)
  expect(pacing.ownWaitMs(8)).toBe(2000)
})
