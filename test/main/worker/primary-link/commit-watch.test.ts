import { beforeEach, expect, test } from 'vitest'
import { CommitWatch } from '../../../../src/main/worker/primary-link/commit-watch.js'
import {
  COMMITS_STILL_HEADERS,
  COMMITS_STILL_MS,
  COMMITS_UNHEARD_MS,
  STILLNESS_LOG_MS,
} from '../../../../src/main/worker/primary-link/limits.js'
import { StillnessLog } from '../../../../src/main/worker/primary-link/stillness-log.js'

let nowMs: number
let connected: boolean
beforeEach(() => {
  nowMs = 1_000_000
  connected = true
})

function make(maxHeaderDelayMs = 100): CommitWatch {
  return new CommitWatch({ maxHeaderDelayMs }, { nowMs: () => nowMs, isConnected: () => connected })
}

test('a primary that sends no Cleanup though batches are certified stands still, and no more after the next', () => {
  const watch = make()
  watch.onCommitted()
  // Nothing to commit.
  nowMs += 10 * COMMITS_STILL_MS
  expect(watch.look()).toBeUndefined()
  watch.onCertified()
  nowMs += COMMITS_STILL_MS - 1
  watch.onCertified()
  expect([watch.look(), watch.isStill]).toEqual([undefined, false])
  nowMs += 1
  expect(watch.look()).toEqual({ forMs: COMMITS_STILL_MS, batches: 2 })
  expect(watch.isStill).toBe(true)
  watch.onCommitted()
  expect([watch.isStill, watch.look()]).toEqual([false, undefined])
  watch.onCertified()
  nowMs += COMMITS_STILL_MS - 1
  expect(watch.look()).toBeUndefined()
})

test('the time in which it is not connected does not count', () => {
  const watch = make()
  watch.onCommitted()
  watch.onCertified()
  connected = false
  for (let looks = 0; looks < 20; looks += 1) {
    nowMs += COMMITS_STILL_MS
    expect(watch.look()).toBeUndefined()
  }
  connected = true
  nowMs += COMMITS_STILL_MS - 1
  expect(watch.look()).toBeUndefined()
  nowMs += 1
  expect(watch.look()).toMatchObject({ batches: 1 })
})

test('one of slow rounds has the time for some of them', () => {
  const watch = make(1_000)
  watch.onCommitted()
  watch.onCertified()
  nowMs += COMMITS_STILL_HEADERS * 1_000 - 1
  expect(watch.look()).toBeUndefined()
  nowMs += 1
  expect(watch.look()).toBeDefined()
})

test('one that has sent none since the start is named later, and nothing is urgent for it', () => {
  const watch = make()
  watch.onCertified()
  nowMs += COMMITS_UNHEARD_MS - 1
  expect(watch.look()).toBeUndefined()
  nowMs += 1
  expect(watch.look()).toBeDefined()
  expect(watch.isStill).toBe(false)
})

test('the log says it when it begins and when it is over, and a primary that stumbles fills no log', () => {
  const lines: string[] = []
  const line = (text: string): void => void lines.push(text)
  const log = new StillnessLog({ warn: line, info: line }, () => nowMs)
  log.look(undefined)
  for (let second = 4; second < 20; second += 1) log.look({ forMs: second * 1_000, batches: second })
  expect(lines).toEqual([expect.stringContaining('no commit for 4 s, and 4 batches')])
  log.look(undefined)
  log.look(undefined)
  expect(lines.slice(1)).toEqual([expect.stringContaining('commits again: it had told of no commit for 19 s, and 19')])
  for (let times = 0; times < 10; times += 1) {
    nowMs += STILLNESS_LOG_MS / 20
    log.look({ forMs: 4_000, batches: 1 })
    log.look(undefined)
  }
  expect(lines).toHaveLength(2)
  nowMs += STILLNESS_LOG_MS
  log.look({ forMs: 4_000, batches: 1 })
  expect(lines).toHaveLength(3)
})
