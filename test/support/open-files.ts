/** Files that this process, a test's own, may have open: where they are too few, a test of many connections says so and is skipped. */
import { readdirSync } from 'node:fs'
import { openFilesLimit } from '../../src/main/worker/open-files.js'

/** Why this process may not open so many files beside those that it has; undefined if it may. */
export function openFilesLack(count: number): string | undefined {
  const limit = openFilesLimit()
  if (limit === undefined) return undefined
  const free = limit - readdirSync('/proc/self/fd').length
  return free >= count ? undefined : `where a test may open ${count} files more, and not ${free} (ulimit -n)`
}
