import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FLUSH_FAILURE_FILE } from '../../../src/shared/store/flush-failure.js'
import { FLUSH_DEADLINE_MS } from '../../../src/shared/store/limits.js'
import { type Put, StoreWrites } from '../../../src/threads/processor/store-writes.js'

const NEVER = new Promise<void>(() => {})

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'narval-store-writes-'))
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(directory, { recursive: true, force: true })
})

/** What LMDB returns for a write that is committed. */
function committed(flushed: Promise<unknown>): Put {
  return Object.assign(Promise.resolve(), { flushed })
}

describe('a flush that does not end', () => {
  it.each([
    ['of a segment', () => NEVER, Promise.resolve()],
    ['of LMDB', () => undefined, NEVER],
  ])('%s ends the node, and the next start knows', async (_, flushSegments, flushed) => {
    const failures: string[] = []
    const writes = new StoreWrites(directory, (error) => failures.push(error.message), flushSegments)
    let isStored = false
    void writes.write(() => committed(flushed), 'durable').then(() => (isStored = true))
    await vi.advanceTimersByTimeAsync(FLUSH_DEADLINE_MS - 1)
    expect(failures).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(failures).toEqual([expect.stringContaining(`a flush did not end within ${FLUSH_DEADLINE_MS} ms`)])
    expect(readFileSync(join(directory, FLUSH_FAILURE_FILE), 'utf8')).toContain('did not end')
    expect(isStored).toBe(false)
  })
})
