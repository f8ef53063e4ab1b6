/** `check`: reads a whole store and names what is damaged; a running node does not notice. */
import { checkStore } from '../../shared/store/check-store.js'
import { EXIT_FAILURE } from './exit-codes.js'

/** Between two lines of progress. */
const PROGRESS_MS = 1_000

/** Damaged digests and the sum on standard output, progress on standard error. Returns the exit code. */
export function check(store: string): number {
  let nextMs = performance.now() + PROGRESS_MS
  const { bytes, count, damaged, what } = checkStore(store, {
    onDamaged: (name, why) => process.stdout.write(`damaged  ${name}  ${why}\n`),
    onProgress: (what, count, bytes) => {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + PROGRESS_MS
      process.stderr.write(`${count} ${what}, ${mebibytes(bytes)} read\n`)
    },
  })
  process.stdout.write(
    `${count} ${what}, ${mebibytes(bytes)} read: ${damaged === 0 ? 'all whole' : `${damaged} damaged`}\n`,
  )
  return damaged === 0 ? 0 : EXIT_FAILURE
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
