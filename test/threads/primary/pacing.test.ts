import { describe, expect, test } from 'vitest'
import { Pacing } from '../../../src/threads/primary/pacing.js'

const nobodyBut =
  (...there: number[]) =>
  (author: number): boolean =>
    there.includes(author)

describe('the wait for parents', () => {
  test('is none when all that answer are there, or nobody has answered lately', () => {
    const pacing = new Pacing(0, 4)
    expect(pacing.parentsAtMs(1, 100, nobodyBut(0))).toBe(100)
    for (const author of [1, 2, 3]) pacing.arrived(author, 1, 0)
    expect(pacing.parentsAtMs(2, 100, nobodyBut(0, 1, 2, 3))).toBe(100)
  })

  test('follows the usual lag of who is missing, and forgets who is silent for eight rounds', () => {
    const pacing = new Pacing(0, 4)
    for (let round = 1; round <= 50; round += 1)
      for (const author of [1, 2, 3]) pacing.arrived(author, round, author === 3 ? 20 : 0)
    expect(pacing.parentsAtMs(51, 100, nobodyBut(0, 1, 2)) - 100).toBeCloseTo(40, 0)
    expect(pacing.parentsAtMs(51, 100, nobodyBut(0, 1, 3)) - 100).toBe(2)
    expect(pacing.parentsAtMs(59, 100, nobodyBut(0, 1, 2))).toBe(100)
  })

  test('is longer in each eighth round, for those that are slow, and never above its limit', () => {
    const pacing = new Pacing(0, 4)
    for (let round = 1; round <= 30; round += 1) pacing.arrived(3, round, 20)
    expect(pacing.parentsAtMs(64, 100, nobodyBut(0, 1, 2)) - 100).toBeGreaterThan(150)
    for (let round = 30; round <= 90; round += 1) pacing.arrived(3, round, 10_000)
    expect(pacing.parentsAtMs(91, 100, nobodyBut(0, 1, 2))).toBe(350)
  })
})
