/** `check`: reads a whole store and names what is damaged; a running node does not notice. */
import { storesIn } from '../../shared/store/authority-directories.js'
import { checkStore } from '../../shared/store/check-store.js'
import { mebibytes } from '../lib/mebibytes.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { progress } from './progress.js'

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
  const say = progress()
  const { bytes, count, damaged, what } = checkStore(path, {
    onDamaged: (part, why) => process.stdout.write(`damaged  ${part}  ${why}\n`),
    onProgress: (what, count, bytes) => say(() => `${prefix}${count} ${what}, ${mebibytes(bytes)} read`),
  })
  process.stdout.write(
    `${prefix}${count} ${what}, ${mebibytes(bytes)} read: ${damaged === 0 ? 'all whole' : `${damaged} damaged`}\n`,
  )
  return damaged
}
