import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A directory of the running test's own, removed when it ends. */
export function temporaryDirectory(): string {
  const { path, remove } = scratchDirectory()
  onTestFinished(remove)
  return path
}

/** One that several tests share. */
export function scratchDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'narval-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
