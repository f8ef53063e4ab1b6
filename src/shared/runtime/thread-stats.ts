/**
 * What a thread with an event loop says of itself once a second: event-loop delay and utilisation, and its garbage
 * collections, in its row of counters.
 */
import {
  constants,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks'
import type { Counters, HostedThreadName } from '../memory/counters.js'

/** Resolution of the event-loop delay, in ms. With 20 it was the cause of half of all wake-ups of a thread at rest. */
const DELAY_RESOLUTION_MS = 100
const PERIOD_MS = 1000

/** An entry of the type `gc`; the types for Node 20 do not have its detail. */
type GcEntry = PerformanceEntry & { readonly detail: { readonly kind: number } }

/** Starts the measurement and returns its end. */
export function startThreadStats<T extends HostedThreadName>(row: Counters<T>): () => void {
  const counters = row as unknown as Counters<'main'>
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  delay.enable()
  const collections = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if ((entry as GcEntry).detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) counters.add('gcMajor')
      counters.add('gcMs', entry.duration)
    }
  })
  collections.observe({ entryTypes: ['gc'] })
  let last = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    counters.set('loopUtilisation', performance.eventLoopUtilization(now, last).utilization)
    last = now
    // The histogram has the intervals between its ticks; the delay is what exceeds its own resolution.
    counters.set('loopDelayP50Ms', Math.max(0, delay.percentile(50) / 1e6 - DELAY_RESOLUTION_MS))
    counters.set('loopDelayP99Ms', Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS))
    delay.reset()
  }, PERIOD_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    collections.disconnect()
    delay.disable()
  }
}
