import { describe, expect, test } from 'vitest'
import { SealingGate } from '../src/main/sealing-gate.js'

function gate(state: { open: boolean | (() => boolean) }): { gate: SealingGate; given: number[] } {
  const given: number[] = []
  const isOpen = (): boolean => (typeof state.open === 'function' ? state.open() : state.open)
  return { gate: new SealingGate(isOpen, (slot) => given.push(slot)), given }
}

describe('the sealing gate', () => {
  test('passes slots on while it is open', () => {
    const { gate: it, given } = gate({ open: true })
    it.pass(3)
    it.pass(5)
    expect(given).toEqual([3, 5])
  })

  test('keeps slots back while it is closed, and gives each once when it opens', () => {
    const state = { open: false }
    const { gate: it, given } = gate(state)
    for (const slot of [1, 2, 3]) it.pass(slot)
    it.recheck()
    expect(given).toEqual([])
    state.open = true
    // A slot that comes now passes; those that were kept back come at the next look.
    it.pass(4)
    expect(given).toEqual([4])
    it.recheck()
    expect([...given].sort()).toEqual([1, 2, 3, 4])
    it.recheck()
    expect(given).toHaveLength(4)
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
    expect([...given].sort()).toEqual([1, 2, 3])
  })
})
