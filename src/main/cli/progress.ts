/** Progress of a command, on standard error: what it prints is on standard output. */

/** Between two lines. */
const PROGRESS_MS = 1_000

/** Says where it is, if it is time to. The text is made only then. */
export function progress(): (text: () => string) => void {
  let nextMs = performance.now() + PROGRESS_MS
  return (text) => {
    if (performance.now() < nextMs) return
    nextMs = performance.now() + PROGRESS_MS
    process.stderr.write(`${text()}\n`)
  }
}
