import { expect, test } from 'vitest'
import { HealDebts } from '../../../../src/main/worker/dissemination/heal-debts.js'
import { HEALS_OWED_MAX } from '../../../../src/main/worker/dissemination/limits.js'
import { digestOf, numberOf } from '../../../support/numbered-digests.js'

const numbersOf = (digests: readonly Uint8Array[]): number[] => digests.map(numberOf)
const all = (): boolean => true

test('each peer is owed what it was not sent, once, until it is taken, the newest first', () => {
  const debts = new HealDebts()
  for (const number of [1, 2, 1]) expect(debts.owe(3, digestOf(number))).toBe(true)
  debts.owe(2, digestOf(7))
  expect([debts.size, debts.peers]).toEqual([3, [3, 2]])
  debts.owe(3, digestOf(9))
  expect(numbersOf(debts.take(3, 2, all))).toEqual([1, 9])
  expect(debts.peers).toEqual([3, 2])
  expect(numbersOf(debts.take(3, 2, all))).toEqual([2])
  expect(debts.take(3, 2, all)).toEqual([])
  expect([debts.size, debts.peers]).toEqual([1, [2]])
  debts.clear()
  expect(debts.size).toBe(0)
})

test('what is not due is not taken, and stays owed', () => {
  const debts = new HealDebts()
  for (let number = 1; number <= 5; number += 1) debts.owe(3, digestOf(number))
  const isOdd = (digest: Uint8Array): boolean => numbersOf([digest])[0]! % 2 === 1
  expect(numbersOf(debts.take(3, 2, isOdd))).toEqual([3, 5])
  expect(numbersOf(debts.take(3, 2, isOdd))).toEqual([1])
  expect(debts.take(3, 2, isOdd)).toEqual([])
  expect(debts.peers).toEqual([3])
  expect(numbersOf(debts.take(3, 9, all))).toEqual([2, 4])
})

test('one peer is owed so many at most: the oldest is forgotten, of that peer alone, and it is said', () => {
  const debts = new HealDebts()
  debts.owe(2, digestOf(1))
  for (let number = 0; number < HEALS_OWED_MAX; number += 1) debts.owe(3, digestOf(number))
  expect(debts.owe(3, digestOf(HEALS_OWED_MAX))).toBe(false)
  const owed = numbersOf(debts.take(3, 2 * HEALS_OWED_MAX, all))
  expect([owed.length, owed[0], owed.at(-1)]).toEqual([HEALS_OWED_MAX, 1, HEALS_OWED_MAX])
  expect(numbersOf(debts.take(2, 2, all))).toEqual([1])
})
