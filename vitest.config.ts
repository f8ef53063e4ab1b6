import { defineConfig } from 'vitest/config'
import type { TestSpecification } from 'vitest/node'
import { BaseSequencer } from 'vitest/node'
import { readGroups } from './test/support/groups.js'

const { alone, pairs, together } = readGroups(import.meta.dirname)

/** Waits for npm most of its time, and longer than any other file runs: whatever begins last should be short. */
const LONGEST = 'test/package/package.test.ts'

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith(LONGEST)
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))]
  }
}

const common = {
  // Threads and native add-ons do not survive vitest's worker threads.
  pool: 'forks',
  testTimeout: 60_000,
  hookTimeout: 60_000,
} as const

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    sequence: { sequencer: LongestFirst },
    // Who is in which is said in test/support/groups.ts.
    projects: [
      {
        test: {
          ...common,
          name: 'together',
          include: together,
          setupFiles: ['test/support/setup.ts', 'test/support/apart.ts'],
          // More than cores: most of them wait for timers most of their time.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'pairs',
          include: pairs,
          setupFiles: ['test/support/setup.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'alone',
          include: alone,
          setupFiles: ['test/support/setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
