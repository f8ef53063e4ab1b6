/** RefusalBackoff: when a peer that refuses is sent the next batch. */
import { describe, expect, test } from 'vitest'
import { REFUSAL_BACKOFF_MAX_MS, REFUSAL_BACKOFF_MIN_MS } from '../../../../src/main/worker/dissemination/limits.js'
import { RefusalBackoff } from '../../../../src/main/worker/dissemination/refusal-backoff.js'

describe('the pause after a refusal', () => {
  test('doubles from 100 ms to 5 s', () => {
    const backoff = new RefusalBackoff()
    expect(backoff.waitMs(0)).toBe(0)
    expect(backoff.isProbing).toBe(false)
    const pauses: number[] = []
    for (let nowMs = 0, i = 0; i < 8; i += 1) {
      backoff.refused(nowMs)
      pauses.push(backoff.waitMs(nowMs))
      nowMs += backoff.waitMs(nowMs)
      expect(backoff.waitMs(nowMs)).toBe(0)
      expect(backoff.isProbing).toBe(true)
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
    expect(pauses[0]).toBe(REFUSAL_BACKOFF_MIN_MS)
    expect(pauses.at(-1)).toBe(REFUSAL_BACKOFF_MAX_MS)
  })

  test('is one for all refusals of a flight, and is not shortened by what else of it was accepted', () => {
    const backoff = new RefusalBackoff()
    for (const nowMs of [0, 10, 99]) backoff.refused(nowMs)
    backoff.accepted(50)
    expect(backoff.waitMs(99)).toBe(1)
    backoff.refused(100)
    expect(backoff.waitMs(100)).toBe(200)
  })

  test('halves with each acceptance, until none is left', () => {
    const backoff = new RefusalBackoff()
    backoff.refused(0)
    backoff.refused(100)
    backoff.refused(300)
    backoff.accepted(700)
    expect(backoff.isProbing).toBe(true)
    expect(backoff.waitMs(700)).toBe(0)
    backoff.refused(700)
    expect(backoff.waitMs(700)).toBe(400)
    for (const nowMs of [1_100, 1_101, 1_102]) backoff.accepted(nowMs)
    expect(backoff.isProbing).toBe(false)
    backoff.refused(2_000)
    expect(backoff.waitMs(2_000)).toBe(100)
  })

  test('is forgotten with a new stream', () => {
    const backoff = new RefusalBackoff()
    backoff.refused(0)
    backoff.reset()
    expect(backoff.waitMs(1)).toBe(0)
    expect(backoff.isProbing).toBe(false)
  })
})
