/** What is seen of real primaries: metrics, health that names who is missing, and the lines of their logs. */
import { describe, expect, test } from 'vitest'
import { byLabel, type Metrics, parseMetrics, sumOf } from '../../../src/main/local/metrics-text.js'
import type { PrimaryNode } from '../../../src/main/primary/primary-node.js'
import { shortName } from '../../../src/shared/config/short-name.js'
import {
  ALL_KEYS,
  AUTHORITIES,
  committeeOfFour,
  freshDirectory,
  type StartedPrimary,
  startPrimary,
} from '../../support/primary-nodes.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { batchOf } from '../../support/threads/primary-thread.js'
import { until } from '../../support/until.js'

const NAMES = ALL_KEYS.map(({ name }) => name)
const short = (authority: number): string => shortName(NAMES[authority]!)
const metricsOf = async (node: PrimaryNode): Promise<Metrics> => parseMetrics(await node.metrics.text())

async function orderOne(started: readonly StartedPrimary[], author: number, sequence: number): Promise<void> {
  const before = Math.max(0, ...started[0]!.committed)
  const batch = batchOf(author, sequence)
  const told = started.map(({ node }, at) => node.client.batch(at === author ? 'own-batch' : 'others-batch', batch))
  await Promise.all(told)
  await until('it is ordered', async () => {
    const metrics = await metricsOf(started[author]!.node)
    const ofBatch = byLabel(metrics, 'narval_primary_stage_seconds_count', 'stage').get('batch-to-commit')
    return ofBatch === sequence && Math.max(0, ...started[0]!.committed) > before
  })
}

test('metrics count what a committee of four does, and health finds nothing wrong', async () => {
  const committee = await committeeOfFour()
  const started: StartedPrimary[] = []
  for (const at of AUTHORITIES) started.push(await startPrimary(committee, at, freshDirectory(at)))
  for (const sequence of [1, 2, 3]) await orderOne(started, 0, sequence)
  const { node, lines } = started[0]!
  await until('all take part, and it is well', async () => {
    const metrics = await metricsOf(node)
    const each = (name: string): number[] => [...byLabel(metrics, `narval_primary_${name}`, 'author').values()]
    const voted = each('votes_sent_total').filter((votes) => votes > 0)
    const takePart = [...each('author_round'), ...each('certificates_total')].every((count) => count > 0)
    return takePart && voted.length >= AUTHORITIES.length - 1 && node.health().problems.length === 0
  })
  expect(node.health()).toMatchObject({ ok: true, missing: [], signing: true, ordering: true })

  const metrics = await metricsOf(node)
  const sum = (name: string): number => sumOf(metrics, `narval_primary_${name}`)
  const stages = byLabel(metrics, 'narval_primary_stage_seconds_count', 'stage')
  for (const stage of ['batch-to-header', 'header-to-commit', 'batch-to-commit']) expect(stages.get(stage)).toBe(3)
  const seconds = byLabel(metrics, 'narval_primary_stage_seconds_sum', 'stage')
  expect(seconds.get('batch-to-commit')).toBeGreaterThan(seconds.get('header-to-commit')!)
  expect(byLabel(metrics, 'narval_primary_committed_batches_total', 'author').get(short(0))).toBe(3)
  expect(byLabel(metrics, 'narval_primary_committed_batches_total', 'author').get(short(1))).toBe(0)
  for (const name of ['round', 'quorum_round', 'seen_round', 'decided_round', 'commit_index', 'commits_total']) {
    expect(sum(name), name).toBeGreaterThan(0)
  }
  for (const name of ['headers_created_total', 'votes_received_total', 'committed_certificates_total']) {
    expect(sum(name), name).toBeGreaterThan(0)
  }
  for (const name of ['verification_seconds_count', 'signing_seconds_count', 'flush_seconds_count']) {
    expect(sum(name), name).toBeGreaterThan(0)
    expect(sum(name.replace('_count', '_sum')), name).toBeGreaterThan(0)
  }
  for (const name of ['certificates_total', 'votes_sent_total', 'author_round']) {
    const authors = byLabel(metrics, `narval_primary_${name}`, 'author')
    for (const at of name === 'votes_sent_total' ? [1, 2, 3] : AUTHORITIES) {
      expect(authors.get(short(at)), `${name} of ${at}`).toBeGreaterThan(0)
    }
  }
  expect([sum('connected_stake'), sum('quorum_stake'), sum('missing_stake')]).toEqual([4, 3, 0])
  expect([sum('healthy'), sum('ordering'), sum('recovering'), sum('peer_connected')]).toEqual([1, 1, 0, 3])
  expect(byLabel(metrics, 'narval_primary_queue_size_max', 'queue').get('headers')).toBe(4)
  expect([...byLabel(metrics, 'narval_thread_utilisation', 'thread').keys()]).toEqual(['primary'])
  expect(sumOf(metrics, 'narval_build_info')).toBe(1)
  expect(lines).toContain('info Begins with a new store')
  expect(lines.at(-1) ?? '').not.toMatch(/^error/)
})

describe('two of four that are away', () => {
  test('are named by health and by the log, and all is well when one of them is back', async () => {
    const committee = await committeeOfFour()
    const directories = AUTHORITIES.map(freshDirectory)
    const started: StartedPrimary[] = []
    for (const at of AUTHORITIES) started.push(await startPrimary(committee, at, directories[at]!))
    const { lines, node } = started[0]!
    await until('it is well', () => node.health().ok)
    await Promise.all([started[2]!.node.close(), started[3]!.node.close()])
    // ROUND_STILL_MS and a look later; a loaded machine is given more.
    await until('they are named', () => !node.health().ordering)
    const health = node.health()
    expect(health).toMatchObject({ ok: false, quorumConnected: false, missing: [NAMES[2], NAMES[3]] })
    const [problem] = health.problems
    expect(problem).toMatch(/^round \d+ has had no quorum for \d+ s, .* stake 2 of 4 is missing, and a quorum takes 3/)
    expect(problem).toContain(`${short(2)} (not connected`)
    expect(problem).toContain(`${short(3)} (not connected`)
    const missing = byLabel(await metricsOf(node), 'narval_primary_missing_stake', 'authority')
    expect([...missing]).toEqual([
      [short(2), 1],
      [short(3), 1],
    ])
    await until('the log says so', () => lines.some((line) => /^warn Round \d+ has had no quorum/.test(line)))

    const back = await startPrimary(committee, 2, directories[2]!)
    await until('it is well again', () => node.health().ok && back.node.health().ok)
    expect(node.health().missing).toEqual([NAMES[3]])
    expect(node.health().problems).toEqual([expect.stringContaining(short(3))])
    await until('the log says that too', () => lines.some((line) => /^info Rounds have a quorum again/.test(line)))
    expect(back.lines.some((line) => /^info Resumed at commit \d+, our last header is of round \d+/.test(line))).toBe(
      true,
    )
    await until('the one that stays away is named', () => lines.some((line) => line.includes(`${short(3)} is missing`)))
  })

  test('one of them because it may sign nothing yet: it says for whom it waits, the others that it does not vote', async () => {
    const committee = await committeeOfFour()
    const first = await startPrimary(committee, 0, freshDirectory(0))
    await startPrimary(committee, 1, freshDirectory(1))
    // Without a marker that says that it has never signed anything.
    const third = await startPrimary(committee, 2, temporaryDirectory())
    await until('it waits for the fourth alone', () => /waits for 1 of 3/.test(third.node.health().problems.join()))
    expect(third.node.health()).toMatchObject({ ok: false, signing: false })
    expect(third.node.health().problems[0]).toMatch(/^recovering: /)
    expect(third.node.health().problems[0]).toContain(`${short(3)} (not connected)`)
    expect(third.lines.some((line) => line.startsWith('warn Recovering: waits for answers of stake 3'))).toBe(true)
    expect(sumOf(await metricsOf(third.node), 'narval_primary_recovering')).toBe(1)
    await until('the first is stalled', () => !first.node.health().ordering)
    const problems = first.node.health().problems.join('\n')
    expect(problems).toContain(`${short(2)} (connected, no vote for our header`)
    expect(problems).toContain(`${short(3)} (not connected)`)
    expect(problems).not.toContain(short(1))

    await startPrimary(committee, 3, freshDirectory(3))
    await until('it signs', () => third.node.health().signing && third.node.health().ok)
    expect(third.lines.some((line) => /^info A quorum has answered: may sign above round \d+/.test(line))).toBe(true)
    await until('the first goes on', () => first.node.health().ok)
  })
})

test('a primary that has failed says why, and is not alive; one that is closed is not ready', async () => {
  const committee = await committeeOfFour()
  const { node } = await startPrimary(committee, 0, freshDirectory(0))
  expect(node.isAlive()).toBe(true)
  const { running } = (node as unknown as { threads: { running: Map<string, { terminate(): Promise<void> }> } }).threads
  await running.get('primary')!.terminate()
  await expect(node.stopped).rejects.toMatchObject({ code: 'ERR_THREAD_DIED' })
  expect(node.isAlive()).toBe(false)
  expect(node.health()).toMatchObject({ ok: false, open: false, storeWritable: false })
  expect(node.health().problems).toEqual([expect.stringMatching(/^the primary has failed: .*primary/)])
  expect(sumOf(await metricsOf(node), 'narval_primary_healthy')).toBe(0)

  const { node: closed } = await startPrimary(committee, 1, freshDirectory(1))
  await closed.close()
  expect(closed.isAlive()).toBe(true)
  expect(closed.health().problems).toEqual(['the primary is starting or closing'])
})
