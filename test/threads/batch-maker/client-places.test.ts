/** Who has a place on the clients' port: names as clients, and a clock by hand. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClientPlaces } from '../../../src/threads/batch-maker/client-places.js'

const MUTE_MS = 10_000
const RESTING_MS = 60_000

function placesOf(placesMax: number, sourcesLookedAt = 8): ClientPlaces<string> {
  return new ClientPlaces({ placesMax, muteMs: MUTE_MS, restingMs: RESTING_MS, sourcesLookedAt })
}

/** `count` clients of one source, "a0", "a1", … */
function fill(places: ClientPlaces<string>, source: string, count: number, nowMs = 0): string[] {
  const clients = Array.from({ length: count }, (_, n) => `${source}${n}`)
  for (const client of clients) expect(places.enter(client, source, nowMs)).toEqual({ admitted: true })
  return clients
}

describe('while there are free places', () => {
  test('one source may have all of them', () => {
    const places = placesOf(1_000)
    fill(places, 'a', 1_000)
    expect(places.size).toBe(1_000)
  })

  test('who leaves makes room, and leaving twice is leaving once', () => {
    const places = placesOf(2)
    fill(places, 'a', 2)
    places.leave('a0')
    places.leave('a0')
    expect(places.size).toBe(1)
    expect(places.enter('b', 'b', 0)).toEqual({ admitted: true })
    expect(places.enter('c', 'c', 0)).toEqual({ admitted: false })
  })
})

describe('when all places are taken', () => {
  test('the source with the most loses them to others, one for each, down to where it has no more than they', () => {
    const places = placesOf(8)
    fill(places, 'a', 8)
    for (let n = 0; n < 4; n += 1) {
      expect(places.enter(`b${n}`, 'b', 1)).toEqual({ admitted: true, evicted: `a${n}`, why: 'source-share' })
    }
    expect([places.placesOf('a'), places.placesOf('b')]).toEqual([4, 4])
    expect(places.enter('b4', 'b', 1)).toEqual({ admitted: false })
    expect(places.enter('a8', 'a', 1)).toEqual({ admitted: false })
    // A third source has a right to its part of both.
    const third = [places.enter('c0', 'c', 1), places.enter('c1', 'c', 1)]
    expect(third.every(({ admitted }) => admitted)).toBe(true)
    expect([places.placesOf('a'), places.placesOf('b'), places.placesOf('c')]).toEqual([3, 3, 2])
  })

  test('of that source those leave first that have sent nothing, the oldest first, then who has rested longest', () => {
    const places = placesOf(4)
    fill(places, 'a', 4)
    places.spoke('a2', 3_000)
    places.spoke('a0', 5_000)
    const left = ['b', 'c', 'd'].map((source) => places.enter(source, source, 6_000))
    expect(left.map((entry) => 'evicted' in entry && entry.evicted)).toEqual(['a1', 'a3', 'a2'])
  })

  test('a newcomer of the largest source takes the place of one of its own that is mute or rests, of nobody else', () => {
    const places = placesOf(4)
    fill(places, 'a', 3)
    fill(places, 'b', 1)
    places.spoke('a0', 0)
    places.spoke('a1', 0)
    places.spoke('a2', 0)
    expect(places.enter('a3', 'a', RESTING_MS - 1)).toEqual({ admitted: false })
    places.spoke('a0', RESTING_MS - 1)
    // b0 has been mute for longer.
    expect(places.enter('a3', 'a', RESTING_MS)).toEqual({ admitted: true, evicted: 'a1', why: 'at-rest' })
    expect(places.enter('a4', 'a', RESTING_MS + MUTE_MS - 1)).toMatchObject({ evicted: 'a2' })
    expect(places.enter('a5', 'a', RESTING_MS + MUTE_MS - 1)).toEqual({ admitted: false })
    expect(places.enter('a5', 'a', RESTING_MS + MUTE_MS)).toMatchObject({ evicted: 'a3', why: 'at-rest' })
    expect(places.placesOf('b')).toBe(1)
  })

  test('a thousand sources of one mute client each do not keep the port for ever', () => {
    const places = placesOf(1_000)
    for (let n = 0; n < 1_000; n += 1) places.enter(`s${n}`, `s${n}`, 0)
    expect(places.enter('honest', 'h', MUTE_MS - 1)).toEqual({ admitted: false })
    expect(places.enter('honest', 'h', MUTE_MS)).toMatchObject({ admitted: true, why: 'at-rest' })
  })

  test('those that rest are found behind many that do not, a few sources at a time', () => {
    const places = placesOf(100, 8)
    for (let n = 0; n < 100; n += 1) places.enter(`s${n}`, `s${n}`, 0)
    for (let n = 0; n < 99; n += 1) places.spoke(`s${n}`, MUTE_MS)
    let tries = 1
    while (!places.enter(`new${tries}`, 'h', MUTE_MS).admitted) tries += 1
    expect(tries).toBe(Math.ceil(100 / 8))
    expect(places.placesOf('s99')).toBe(0)
  })

  test('who waits for us is not sent away, however many its source has, and has not rested when it goes on', () => {
    const places = placesOf(3)
    fill(places, 'a', 3)
    for (const client of ['a0', 'a1', 'a2']) places.spoke(client, 0)
    for (const client of ['a0', 'a1', 'a2']) places.hold(client)
    expect(places.enter('b', 'b', 10 * RESTING_MS)).toEqual({ admitted: false })
    places.release('a1', 10 * RESTING_MS)
    expect(places.enter('a3', 'a', 10 * RESTING_MS + 1)).toEqual({ admitted: false })
    expect(places.enter('b', 'b', 10 * RESTING_MS + 1)).toMatchObject({ evicted: 'a1' })
  })

  test('a source with fewer places than the newcomer would have never loses one', () => {
    const source = fc.constantFrom('a', 'b', 'c', 'd')
    const event = fc.tuple(fc.constantFrom('enter', 'enter', 'spoke', 'hold', 'release', 'leave'), source, fc.nat(20))
    fc.assert(
      fc.property(fc.array(event, { maxLength: 300 }), fc.integer({ min: 1, max: 12 }), (events, placesMax) => {
        const places = placesOf(placesMax)
        const here = new Map<string, string>()
        let nowMs = 0
        let next = 0
        for (const [what, from, seconds] of events) {
          nowMs += seconds * 1_000
          const [client] = [...here].find(([, of]) => of === from) ?? []
          if (what === 'enter') {
            const counts = new Map([...'abcd'].map((name) => [name, places.placesOf(name)]))
            const entry = places.enter(`${next}`, from, nowMs)
            if (entry.admitted) here.set(`${next}`, from)
            if ('evicted' in entry) {
              const loser = here.get(entry.evicted)!
              if (loser !== from) expect(counts.get(loser)).toBeGreaterThan(counts.get(from)!)
              here.delete(entry.evicted)
            }
            next += 1
          } else if (client !== undefined) {
            if (what === 'spoke') places.spoke(client, nowMs)
            else if (what === 'hold') places.hold(client)
            else if (what === 'release') places.release(client, nowMs)
            else {
              places.leave(client)
              here.delete(client)
            }
          }
          expect(places.size).toBe(here.size)
          expect(here.size).toBeLessThanOrEqual(placesMax)
          for (const name of 'abcd') {
            expect(places.placesOf(name)).toBe([...here.values()].filter((of) => of === name).length)
          }
        }
      }),
    )
  })
})
