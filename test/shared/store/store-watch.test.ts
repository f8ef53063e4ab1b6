/** How often the store's file is looked after: a real file, and timers by hand. */
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { DEAD_READERS_MS, STORE_LOOK_MS } from '../../../src/shared/store/limits.js'
import { DATA_FILE } from '../../../src/shared/store/store-error.js'
import { StoreWatch } from '../../../src/shared/store/store-watch.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

test('its size is told at once and once in an interval, places of dead readers are freed in a longer one, until the end', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const directory = temporaryDirectory()
  const file = join(directory, DATA_FILE)
  writeFileSync(file, 'x')
  const sizes: number[] = []
  let cleared = 0
  const watch = new StoreWatch(directory, {
    onFileBytes: (bytes) => void sizes.push(bytes),
    onFlushFailed: (error) => expect.unreachable(error.message),
    clearDeadReaders() {
      cleared += 1
    },
  })
  appendFileSync(file, 'x')
  vi.advanceTimersByTime(STORE_LOOK_MS - 1)
  expect(sizes).toEqual([1])
  vi.advanceTimersByTime(1)
  expect(sizes).toEqual([1, 2])
  vi.advanceTimersByTime(DEAD_READERS_MS - STORE_LOOK_MS - 1)
  expect(cleared).toBe(0)
  vi.advanceTimersByTime(1)
  expect([cleared, sizes.length]).toEqual([1, 1 + DEAD_READERS_MS / STORE_LOOK_MS])
  await watch.close()
  vi.advanceTimersByTime(DEAD_READERS_MS)
  expect(cleared).toBe(1)
})
