/** Memory as slots have it, for batches that a test hands to a store itself. */
import { pageMemory, wholePages } from '../../src/shared/memory/page-memory.js'

/** Copies of batches, each in pages of its own. */
export function inPages(batches: readonly Uint8Array[]): Uint8Array[] {
  const memory = pageMemory(batches.reduce((sum, { length }) => sum + wholePages(length), 0))
  let at = 0
  return batches.map((batch) => {
    const copy = new Uint8Array(memory, at, batch.length)
    copy.set(batch)
    at += wholePages(batch.length)
    return copy
  })
}
