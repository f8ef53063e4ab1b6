/** `check`: reads a whole store and names what is damaged; a running node does not notice. */
import { storesIn } from '../../shared/store/authority-directories.js'
import { checkStore } from '../../shared/store/check-store.js'
import { EXIT_FAILURE } from './exit-codes.js'

/** Between two lines of progress. */
const PROGRESS_MS = 1_000

/**
 * The store of a worker or of a primary, or all of an authority's. Damaged digests and the sum of each on standard output,
 * progress on standard error. Returns the exit code. Throws what made one unreadable, once it has read the others.
 */
export function check(directory: string): number {
  const failures: unknown[] = []
  let damaged = 0
  for (const [name, path] of storesIn(directory)) {
    try {
      damaged += checkOne(name, path)
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
  return damaged === 0 ? 0 : EXIT_FAILURE
}

/** Returns how much is damaged. */
function checkOne(name: string, path: string): number {
  const prefix = name === '' ? '' : `${name}: `
  let nextMs = performance.now() + PROGRESS_MS
  const { bytes, count, damaged, what } = checkStore(path, {
    onDamaged: (part, why) => process.stdout.write(`damaged  ${part}  ${why}\n`),
    onProgress: (what, count, bytes) => {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + PROGRESS_MS
      process.stderr.write(`${prefix}${count} ${what}, ${mebibytes(bytes)} read\n`)
    },
  })
  process.stdout.write(
    `${prefix}${count} ${what}, ${mebibytes(bytes)} read: ${damaged === 0 ? 'all whole' : `${damaged} damaged`}\n`,
  )
  return damaged
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
