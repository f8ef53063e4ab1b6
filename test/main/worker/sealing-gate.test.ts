import { describe, expect, test } from 'vitest'
import { SealingGate } from '../../../src/main/worker/sealing-gate.js'

function gate(state: { open: boolean | (() => boolean); aheadMax?: number; pauseMs?: number; nowMs?: number }): {
  gate: SealingGate
  given: number[]
} {
  const given: number[] = []
  const isOpen = (): boolean => (typeof state.open === 'function' ? state.open() : state.open)
  return {
    gate: new SealingGate({
      isOpen,
      aheadMax: () => state.aheadMax ?? 100,
      pauseMs: () => state.pauseMs ?? 0,
      nowMs: () => state.nowMs ?? 0,
      give: (slot) => given.push(slot),
    }),
    given,
  }
}

const sorted = (slots: readonly number[]): number[] => [...slots].sort((a, b) => a - b)

describe('the sealing gate', () => {
  test('passes slots on while it is open', () => {
    const { gate: it, given } = gate({ open: true })
    it.pass(3)
    it.pass(5)
    expect(given).toEqual([3, 5])
  })

  test('gives one at a time while it is to be slow, and all that are there when it is not any more', () => {
    const state = { open: true, pauseMs: 300, nowMs: 1000 }
    const { gate: it, given } = gate(state)
    for (const slot of [1, 2, 3, 4]) it.pass(slot)
    expect(given).toHaveLength(1)
    state.nowMs = 1299
    it.recheck()
    expect(given).toHaveLength(1)
    state.nowMs = 1300
    it.recheck()
    it.onCertified()
    expect(given).toHaveLength(2)
    state.pauseMs = 0
    it.recheck()
    expect(sorted(given)).toEqual([1, 2, 3, 4])
  })

  test('keeps slots back while it is closed, and gives each once when it opens', () => {
    const state = { open: false }
    const { gate: it, given } = gate(state)
    for (const slot of [1, 2, 3]) it.pass(slot)
    it.recheck()
    expect(given).toEqual([])
    state.open = true
    it.recheck()
    expect(sorted(given)).toEqual([1, 2, 3])
    it.recheck()
    expect(given).toHaveLength(3)
  })

  test('that opens gives out what it kept back when the next slot comes', () => {
    const state = { open: false }
    const { gate: it, given } = gate(state)
    for (const slot of [1, 2, 3]) it.pass(slot)
    state.open = true
    it.pass(4)
    expect(sorted(given)).toEqual([1, 2, 3, 4])
  })

  test('that closes while it gives slots out keeps the rest', () => {
    let answers = 0
    const state: { open: boolean | (() => boolean) } = { open: false }
    const { gate: it, given } = gate(state)
    for (const slot of [1, 2, 3]) it.pass(slot)
    state.open = () => {
      answers += 1
      return answers <= 2
    }
    it.recheck()
    expect(given).toHaveLength(2)
    state.open = true
    it.recheck()
    expect(sorted(given)).toEqual([1, 2, 3])
  })

  test('gives out no more slots than batches may be uncertified, and one for each that is certified', () => {
    const { gate: it, given } = gate({ open: true, aheadMax: 2 })
    for (const slot of [1, 2, 3, 4]) it.pass(slot)
    expect(given).toHaveLength(2)
    it.onCertified()
    expect(given).toHaveLength(3)
    it.onCertified()
    expect(sorted(given)).toEqual([1, 2, 3, 4])
  })

  test('a slot that comes back from a certified batch does not count twice', () => {
    const { gate: it, given } = gate({ open: true, aheadMax: 1 })
    for (const slot of [1, 2]) it.pass(slot)
    for (let batch = 0; batch < 10; batch += 1) {
      expect(given).toHaveLength(batch + 1)
      const slot = given.at(-1)!
      it.onCertified()
      it.pass(slot)
    }
    expect(given).toHaveLength(11)
  })

  test('gives out more when the links take more, at the next look', () => {
    const state = { open: true, aheadMax: 1 }
    const { gate: it, given } = gate(state)
    for (const slot of [1, 2, 3]) it.pass(slot)
    expect(given).toHaveLength(1)
    state.aheadMax = 3
    it.recheck()
    expect(sorted(given)).toEqual([1, 2, 3])
  })
})
