/**
 * Negative controls of the simulator: each mistake of `test/support/simulator/sabotage.ts` is found within a few seeds, by
 * the check that it is meant for, and the seed that finds it runs clean without the mistake.
 */
import { describe, expect, test } from 'vitest'
import { CONTROLS } from '../../support/simulator/sabotage.js'
import { simulate } from '../../support/simulator/simulation.js'

/** Most are found by the first. */
const SEEDS_MAX = 12

describe('the simulator finds that', () => {
  test.each(Object.entries(CONTROLS))('%s', { timeout: 180_000 }, (name, { found, sabotage, schedule }) => {
    const seed = foundBy((seed) => simulate(seed, { ...schedule, sabotage }), found)
    if (process.env.SIMULATOR_SHOW) console.log(`${name}: seed ${seed}`)
    simulate(seed, schedule)
  })
})

/** The first seed that fails, which has to be for this reason. */
function foundBy(run: (seed: number) => unknown, reason: RegExp): number {
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    try {
      run(seed)
    } catch (error) {
      expect(String(error)).toMatch(/seed \d+/)
      expect(String(error)).toMatch(reason)
      return seed
    }
  }
  throw new Error(`not found by ${SEEDS_MAX} seeds`)
}
