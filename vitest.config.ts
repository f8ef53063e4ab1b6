import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Threads and native add-ons do not survive vitest's worker threads.
    pool: 'forks',
    // Two cores: two committees at once would only starve each other.
    fileParallelism: false,
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    include: ['test/**/*.test.ts'],
  },
})
