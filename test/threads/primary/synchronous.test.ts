/** Two requests must not both pass a check before either is recorded: nothing of the primary may wait, or know the time. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOM = join(import.meta.dirname, '../../../src/threads/primary')
/** They run the primary: the thread, its keys and its store. */
const AROUND = [
  'ed25519-keys.ts',
  'outbox.ts',
  'runner.ts',
  'thread.ts',
  'store/primary-store.ts',
  'store/turn-queue.ts',
]
const WAITS = /\b(async|await|Promise|setTimeout|setInterval|setImmediate|queueMicrotask|nextTick)\b/
const ASKS = /\b(Date\.now|new Date|performance|hrtime|Math\.random|randomBytes|randomInt)\b/

test('the primary waits for nothing, and asks neither a clock nor chance', () => {
  const files = readdirSync(ROOM, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const inner = files.filter((file) => !AROUND.includes(file))
  expect(inner).toContain('core.ts')
  expect(inner.length).toBeGreaterThan(40)
  const found = inner.filter((file) => {
    const text = readFileSync(join(ROOM, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    return WAITS.test(text) || ASKS.test(text)
  })
  expect(found).toEqual([])
  expect(files).toEqual(expect.arrayContaining(AROUND))
})
