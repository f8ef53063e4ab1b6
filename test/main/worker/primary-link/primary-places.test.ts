import { expect, test } from 'vitest'
import {
  OWN_PRIMARY_CONNECTIONS_MAX,
  SOURCE_CONNECTIONS_MAX,
  STRANGER_CONNECTIONS_MAX,
} from '../../../../src/main/worker/primary-link/limits.js'
import { PrimaryPlaces } from '../../../../src/main/worker/primary-link/primary-places.js'

const fill = (
  places: PrimaryPlaces<string>,
  count: number,
  source: string,
  of: 'own-primary' | 'primary' | 'stranger',
) => Array.from({ length: count }, (_, index) => places.enter(`${source}#${index}`, source, of))

test('beside our primary, which speaks, any number may come from its address: they take places from each other', () => {
  const places = new PrimaryPlaces<string>()
  places.enter('ours', 'own', 'own-primary')
  places.spoke('ours')
  const evicted = fill(places, 10 * OWN_PRIMARY_CONNECTIONS_MAX, 'own', 'own-primary').filter(
    (name) => name !== undefined,
  )
  expect(places.size).toBe(OWN_PRIMARY_CONNECTIONS_MAX)
  expect(evicted[0]).toBe('own#0')
  expect(evicted).not.toContain('ours')
})

test('of those that speak the one leaves that has not for the longest time', () => {
  const places = new PrimaryPlaces<string>()
  fill(places, OWN_PRIMARY_CONNECTIONS_MAX, 'own', 'own-primary')
  for (let index = 0; index < OWN_PRIMARY_CONNECTIONS_MAX; index += 1) places.spoke(`own#${index}`)
  places.spoke('own#0')
  expect(places.enter('new', 'own', 'own-primary')).toBe('own#1')
})

test('one source of strangers has its share, and loses places to those that have fewer', () => {
  const places = new PrimaryPlaces<string>()
  fill(places, SOURCE_CONNECTIONS_MAX, 'a', 'stranger')
  expect(places.enter('a+', 'a', 'stranger')).toBe('a#0')
  for (let source = 1; source < STRANGER_CONNECTIONS_MAX / SOURCE_CONNECTIONS_MAX; source += 1) {
    fill(places, SOURCE_CONNECTIONS_MAX, `b${source}`, 'stranger')
  }
  expect(places.size).toBe(STRANGER_CONNECTIONS_MAX)
  expect(places.enter('honest', 'c', 'stranger')).toMatch(/^a#1$/)
  // Sources of one connection each, by the hundred, do not take it from one that speaks before the mute are gone.
  places.spoke('honest')
  for (let source = 0; source < STRANGER_CONNECTIONS_MAX; source += 1)
    places.enter(`d${source}`, `d${source}`, 'stranger')
  expect(places.size).toBe(STRANGER_CONNECTIONS_MAX)
})

test('strangers take nothing from the primaries that the committee names, nor those from each other or from ours', () => {
  const places = new PrimaryPlaces<string>()
  places.enter('ours', 'own', 'own-primary')
  places.enter('theirs', 'p1', 'primary')
  const evicted = [
    ...fill(places, 3 * SOURCE_CONNECTIONS_MAX, 'p2', 'primary'),
    ...Array.from({ length: 1_000 }, (_, index) => places.enter(`s${index}`, `s${index}`, 'stranger')),
  ]
  expect(evicted).not.toContain('ours')
  expect(evicted).not.toContain('theirs')
  expect(places.size).toBe(2 + SOURCE_CONNECTIONS_MAX + STRANGER_CONNECTIONS_MAX)
})

test('a place is free when its connection has left, and what is not there leaves nothing', () => {
  const places = new PrimaryPlaces<string>()
  fill(places, SOURCE_CONNECTIONS_MAX, 'a', 'stranger')
  places.leave('a#3')
  places.leave('a#3')
  places.spoke('a#3')
  expect(places.enter('new', 'a', 'stranger')).toBeUndefined()
  expect(places.size).toBe(SOURCE_CONNECTIONS_MAX)
})
