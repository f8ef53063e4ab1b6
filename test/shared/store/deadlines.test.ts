import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/shared/store/deadlines.js'

const TIMEOUT_MS = 1_000
const NEVER = new Promise<never>(() => {})

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function told(promise: Promise<unknown>): string[] {
  const said: string[] = []
  promise.then(
    (value) => said.push(`ended: ${value}`),
    (error: Error) => said.push(error.message),
  )
  return said
}

it('each has its own deadline, whatever became of those before it', async () => {
  const deadlines = new Deadlines(TIMEOUT_MS)
  const first = told(deadlines.within(NEVER, 'the first'))
  await vi.advanceTimersByTimeAsync(400)
  const second = told(deadlines.within(Promise.resolve('well'), 'the second'))
  const third = told(deadlines.within(NEVER, 'the third'))
  await vi.advanceTimersByTimeAsync(599)
  expect([first, second, third]).toEqual([[], ['ended: well'], []])
  await vi.advanceTimersByTimeAsync(1)
  expect(first).toEqual(['the first did not end within 1000 ms'])
  await vi.advanceTimersByTimeAsync(399)
  expect(third).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  expect(third).toEqual(['the third did not end within 1000 ms'])
})

it('one that comes after all have ended, or were late, is late in its turn', async () => {
  const deadlines = new Deadlines(TIMEOUT_MS)
  for (const before of [Promise.resolve(), NEVER]) {
    told(deadlines.within(before, 'one before'))
    await vi.advanceTimersByTimeAsync(5 * TIMEOUT_MS)
    const said = told(deadlines.within(NEVER, 'this one'))
    await vi.advanceTimersByTimeAsync(TIMEOUT_MS - 1)
    expect(said).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(said).toEqual(['this one did not end within 1000 ms'])
  }
})

it('what fails fails as it does, and all that is under way has one timer', async () => {
  const deadlines = new Deadlines(TIMEOUT_MS)
  const failed = told(deadlines.within(Promise.reject(new Error('EIO')), 'a write'))
  for (let n = 0; n < 1_000; n += 1) told(deadlines.within(n % 2 === 0 ? NEVER : Promise.resolve(), 'a flush'))
  expect(vi.getTimerCount()).toBe(1)
  await vi.advanceTimersByTimeAsync(0)
  expect(failed).toEqual(['EIO'])
})
