/** An application that is slower than retention: it holds nobody up, and health says so before it hurts. */
import { expect, test } from 'vitest'
import { CommitsPrunedError } from '../../../src/shared/errors.js'
import { newMembers, start } from '../../support/authority-under-test.js'
import { fromDist } from '../../support/threads/main-side.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const { ApplicationRunner } = await fromDist<typeof import('../../../src/main/runner/application-runner.js')>(
  'main/runner/application-runner.js',
)
const { LastApplied } = await fromDist<typeof import('../../../src/shared/memory/last-applied.js')>(
  'shared/memory/last-applied.js',
)

test('an application that falls behind what is kept is told before, and is well again when it has caught up', async () => {
  const [member] = await newMembers(1)
  const parameters = { maxBatchDelayMs: 1, batchBytesMax: 2_000, retentionCommits: 60 }
  const authority = await start(member!, { parameters })
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const running = authority.run({
    lastApplied: () => 0,
    apply: async (commit) => {
      if (commit.batchCount > 0) await held
    },
  })
  running.catch(() => {})
  let count = 0
  const problems = (): string => authority.health().problems.join()
  await until('it lags', async () => {
    for (const end = count + 20; count < end; count += 1) await authority.submit(transactionOf(count, 1_900))
    return /the application is \d+ commits behind, and [1-9]\d* commits more/.test(problems())
  })
  expect(authority.health().ok).toBe(true)
  expect(await authority.metrics()).toMatch(/^narval_application_lag_commits [1-9]/m)
  release()
  await until('it has caught up', () => !/the application/.test(problems()))
})

test('an application whose next commit is gone ends with the oldest that is there, and health keeps saying so', async () => {
  const lastApplied = new LastApplied()
  const runner = new ApplicationRunner({
    // biome-ignore lint/correctness/useYield: as of a log that begins later
    commits: async function* () {
      throw new CommitsPrunedError(7, 100)
    },
    lastApplied,
    lastCommit: () => 200,
    firstKept: () => 100,
    commitsKept: 100,
    log: { error() {}, info() {} },
  })
  const run = runner.run({ lastApplied: () => 7, apply() {} }, undefined)
  await expect(run).rejects.toMatchObject({ code: 'ERR_COMMITS_PRUNED', oldest: 100 })
  expect(lastApplied.index).toBe(7)
  expect(runner.problem).toMatchObject({ kind: 'stopped', text: expect.stringMatching(/begin after 99/) })
})
