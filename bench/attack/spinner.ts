/** Spends a share of a core and does nothing else: what an attack costs by its CPU alone, where all share the cores. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Attacker } from './attacks.js'

const SLOT_MS = 10

export function spinner({ share }: { readonly share: number }): Attacker {
  let slots = 0
  return {
    run: async (endMs) => {
      const startMs = performance.now()
      const startCpu = process.cpuUsage()
      while (performance.now() < endMs) {
        slots += 1
        // By what it has really used: on a full machine a slot of time is less than a slot of CPU.
        const wantedUs = (performance.now() - startMs + SLOT_MS) * 1000 * share
        const untilMs = performance.now() + SLOT_MS
        while (performance.now() < untilMs) {
          const { system, user } = process.cpuUsage(startCpu)
          if (user + system >= wantedUs) break
        }
        const pauseMs = untilMs - performance.now()
        if (pauseMs > 0) await sleep(pauseMs)
      }
    },
    done: () => slots,
    ended: () => 0,
  }
}
