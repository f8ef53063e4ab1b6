/** Directories that a bench makes stores in: under `.bench`, on the disk that the product's `local` uses too. */
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * A fresh directory `.bench/NAME-PID-…`. What benches that were killed have left there is deleted first: whatever names
 * a process that is not running.
 */
export function makeWorkdir(name: string, parent = resolve('.bench')): string {
  mkdirSync(parent, { recursive: true })
  for (const entry of readdirSync(parent)) {
    const match = /^[a-z]+-(\d+)-\w+$/.exec(entry)
    if (match !== null && !isRunning(Number(match[1]))) removeWorkdir(join(parent, entry))
  }
  return mkdtempSync(join(parent, `${name}-${process.pid}-`))
}

/** Removes it, and what it is in with the last thing there. */
export function removeWorkdir(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  try {
    rmdirSync(dirname(directory))
  } catch {
    // Results are in it, or another bench's directory; or another bench has removed it.
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
