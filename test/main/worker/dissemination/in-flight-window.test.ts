import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InFlightWindow } from '../../../../src/main/worker/dissemination/in-flight-window.js'
import { IN_FLIGHT_MIN } from '../../../../src/main/worker/dissemination/limits.js'

/** A window after so many ACKs of one latency, one each millisecond. */
function feed(window: InFlightWindow, count: number, latencyMs: number, wasFull = true, fromMs = 0): number {
  for (let i = 0; i < count; i += 1) window.onAck(latencyMs, wasFull, fromMs + i)
  return window.limit
}

describe('the window', () => {
  test('starts at its least', () => {
    expect(new InFlightWindow(64).limit).toBe(IN_FLIGHT_MIN)
  })

  test('grows by one for a window’s worth of ACKs while latency is flat and it is what holds the sender back', () => {
    const window = new InFlightWindow(64)
    expect(feed(window, 2, 80)).toBe(3)
    expect(feed(window, 1, 80)).toBe(4)
    expect(feed(window, 3, 80)).toBe(4)
    expect(feed(window, 1, 80)).toBe(5)
  })

  test('grows to its greatest on a long link, and no further', () => {
    expect(feed(new InFlightWindow(10), 1_000, 200)).toBe(10)
  })

  test('does not grow while it is not what holds the sender back', () => {
    expect(feed(new InFlightWindow(64), 1_000, 10, false)).toBe(IN_FLIGHT_MIN)
  })

  test('shrinks one by one when latency has risen, to its least', () => {
    const window = new InFlightWindow(64)
    feed(window, 200, 20)
    const grown = window.limit
    expect(grown).toBeGreaterThan(10)
    feed(window, grown, 500)
    expect(window.limit).toBe(grown - 1)
    expect(feed(window, 2_000, 500)).toBe(IN_FLIGHT_MIN)
  })

  test('stays as it is while latency is neither flat nor risen', () => {
    const window = new InFlightWindow(64)
    feed(window, 100, 100)
    const before = window.limit
    expect(feed(window, 500, 180)).toBe(before)
  })

  test('takes a latency that stays high for the link’s own after a while, and grows again', () => {
    const window = new InFlightWindow(64)
    feed(window, 100, 20)
    feed(window, 2_000, 300)
    expect(window.limit).toBe(IN_FLIGHT_MIN)
    // Two periods later the old least is forgotten.
    expect(feed(window, 30_000, 300, true, 2_000)).toBeGreaterThan(20)
  })

  test('is never beyond its bounds, whatever the latencies are', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: IN_FLIGHT_MIN, max: 20 }),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1e5, noNaN: true }), fc.boolean(), fc.nat(20_000))),
        (max, acks) => {
          const window = new InFlightWindow(max)
          let nowMs = 0
          for (const [latencyMs, wasFull, passedMs] of acks) {
            const before = window.limit
            nowMs += passedMs
            window.onAck(latencyMs, wasFull, nowMs)
            expect(Math.abs(window.limit - before)).toBeLessThanOrEqual(1)
            expect(window.limit).toBeGreaterThanOrEqual(IN_FLIGHT_MIN)
            expect(window.limit).toBeLessThanOrEqual(max)
          }
        },
      ),
    )
  })
})
