import { describe, expect, test } from 'vitest'
import { APPLY_STILL_MS } from '../../../src/main/runner/limits.js'
import { type ApplicationState, applicationProblem } from '../../../src/main/runner/runner-health.js'

const WELL: ApplicationState = {
  isRunning: true,
  failure: undefined,
  lastApplied: 990,
  lastCommit: 1000,
  firstKept: 501,
  commitsKept: Number.POSITIVE_INFINITY,
  applyingMs: 0,
  isWaitingForBytes: false,
}

const problemOf = (more: Partial<ApplicationState>): ReturnType<typeof applicationProblem> =>
  applicationProblem({ ...WELL, ...more })

describe('an application', () => {
  test('that follows, or was never there, is no problem', () => {
    expect(problemOf({})).toBeUndefined()
    expect(problemOf({ isRunning: false, lastApplied: undefined })).toBeUndefined()
  })

  test('that has failed is stopped, with its reason', () => {
    expect(problemOf({ isRunning: false, failure: 'it failed in commit 991: no' })).toMatchObject({
      kind: 'stopped',
      isGrave: true,
      text: expect.stringContaining('commit 991: no'),
    })
  })

  test('hangs once a commit takes too long, unless it waits for a batch', () => {
    expect(problemOf({ applyingMs: APPLY_STILL_MS - 1 })).toBeUndefined()
    expect(problemOf({ applyingMs: APPLY_STILL_MS })).toMatchObject({
      kind: 'hangs',
      isGrave: true,
      text: expect.stringContaining('at commit 991 for 30 s'),
    })
    expect(problemOf({ applyingMs: APPLY_STILL_MS, isWaitingForBytes: true })).toBeUndefined()
  })

  test('lags when it is half of what is kept behind, and only if it is known how much that is', () => {
    expect(problemOf({ lastApplied: 750 })).toBeUndefined()
    expect(problemOf({ lastApplied: 749 })).toMatchObject({
      kind: 'lags',
      isGrave: false,
      text: expect.stringContaining('251 commits behind, and 249 commits more'),
    })
    expect(problemOf({ lastApplied: 0, firstKept: 0 })).toBeUndefined()
    // As it is set, before the first is deleted.
    expect(problemOf({ lastApplied: 0, firstKept: 0, commitsKept: 2000 })).toBeUndefined()
    expect(problemOf({ lastApplied: 0, firstKept: 0, commitsKept: 1999 })).toMatchObject({
      kind: 'lags',
      text: expect.stringContaining('1000 commits behind, and 999 commits more'),
    })
    expect(problemOf({ lastApplied: 400 })).toMatchObject({
      kind: 'lags',
      text: expect.stringContaining('and 0 commits'),
    })
  })

  test('that is ahead of the log waits for it', () => {
    expect(problemOf({ lastApplied: 1001 })).toMatchObject({ kind: 'ahead', isGrave: false })
  })
})
