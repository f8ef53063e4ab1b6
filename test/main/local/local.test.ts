import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AuthorityResult } from '../../../src/main/local/authority-result.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { freePorts } from '../../support/free-ports.js'
import { childrenOf, commandOf, ended, isRunning, processesWith } from '../../support/processes.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

const NODE_FILE = new URL('../../../dist/node.js', import.meta.url).pathname

interface Run {
  readonly child: ChildProcess
  readonly exited: Promise<[number | null, string | null]>
  stdout: string
  stderr: string
}

let base: string
const runs: Run[] = []

beforeEach(() => {
  base = temporaryDirectory()
})

afterEach(() => {
  for (const { child } of runs.splice(0)) child.kill('SIGKILL')
})

function local(...args: string[]): Run {
  const child = spawn(process.execPath, [NODE_FILE, ...args], { cwd: base, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'close') as Run['exited']
  const run: Run = { child, exited, stdout: '', stderr: '' }
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    run.stdout += text
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    run.stderr += text
  })
  runs.push(run)
  return run
}

/** The digest of a commit's record, as an authority's store has it. */
function recordOf(store: string, index: number): string | undefined {
  const reader = new CommitLogReader(join(store, 'primary'))
  try {
    for (const commit of reader.commits(index - 1)) return Buffer.from(commit.digest()).toString('hex')
  } finally {
    reader.close()
  }
  return undefined
}

/** What ends a run and clears up after it does not ask how many there are: two nodes and two clients boot in half the time. */
const TWO = ['local', '--nodes', '2', '--duration', '0']

/** Until the last client sends: so many nodes run, and as many clients. */
async function untilLoaded(run: Run, nodes = 2): Promise<number[]> {
  const pid = run.child.pid!
  const log = (): string => {
    const parent = join(base, '.narval')
    const name = existsSync(parent) ? readdirSync(parent)[0] : undefined
    const file = name === undefined ? '' : join(parent, name, 'logs', `client-${nodes - 1}-0.log`)
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }
  await until(
    'the last client sends',
    () => run.child.exitCode !== null || log().includes('Sending sample transaction'),
  )
  expect(run.child.exitCode, run.stderr).toBeNull()
  return childrenOf(pid)
}

describe.skipIf(process.platform !== 'linux')('local', () => {
  it('a committee of four orders all that was sent, in logs that are equal on the disk too, and says so in one line of JSON', async () => {
    const directory = join(base, 'kept')
    const api = await freePorts(4)
    const run = local(
      ...['local', '--nodes', '4', '--rate', '2000', '--duration', '3', '--json', '--ack-level', 'stored'],
      ...['--dir', directory, '--keep', '--api', `:${api}`],
    )
    const statusAt = async (port: number): Promise<unknown> => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/status`).catch(() => undefined)
      return answer?.ok === true ? ((await answer.json()) as { authority: string }).authority : undefined
    }
    await until('the gateway of each authority answers at a port of its own', async () => {
      expect(run.child.exitCode, run.stderr).toBeNull()
      const names = await Promise.all([0, 1, 2, 3].map((node) => statusAt(api + node)))
      return !names.includes(undefined) && new Set(names).size === 4
    })
    const [code] = await run.exited
    expect(code, run.stderr).toBe(0)
    expect(run.stdout).toMatch(/^\{.*\}\n$/)
    const result = JSON.parse(run.stdout) as AuthorityResult
    expect(Object.keys(result)).toEqual([
      'config',
      'certified',
      'consensus',
      'end_to_end',
      'commits',
      'sent_transactions',
      'lost_transactions',
      'cpu',
      'rss_bytes_max',
    ])
    expect(result.config).toEqual({
      nodes: 4,
      workers: 1,
      rate: 2000,
      size: 512,
      duration: 3,
      faults: 0,
      ack_level: 'stored',
      node_version: process.version,
      rule: 'shoal',
    })
    expect(result.sent_transactions).toBe(6000)
    expect(result.lost_transactions).toBe(0)
    expect(result.certified.transactions).toBe(6000)
    expect(result.certified.bytes).toBe(6000 * 512)
    expect(result.certified.batches).toBeGreaterThan(0)
    expect(result.certified.latency_ms.p50).toBeGreaterThan(0)
    expect(result.cpu.ns_per_transaction_byte).toBeGreaterThan(0)
    expect(result.rss_bytes_max).toBeGreaterThan(0)
    // A sample is certified first, and read last; a batch of it is ordered in between.
    expect(result.end_to_end.tps).toBeGreaterThan(0)
    expect(result.consensus.tps).toBeGreaterThan(0)
    expect(result.consensus.latency_ms.p50).toBeGreaterThan(0)
    expect(result.end_to_end.latency_ms.mean).toBeGreaterThan(result.certified.latency_ms.mean!)
    expect(run.stderr).toContain(' SUMMARY:')
    expect(run.stderr).toMatch(/ Consensus latency: [\d,]+ ms\n\n End-to-end TPS: [\d,]+ tx\/s\n/)
    const { agree, count, digest } = result.commits
    expect(agree).toBe(true)
    expect(count).toBeGreaterThan(0)
    for (const authority of [0, 1, 2, 3]) {
      expect(recordOf(join(directory, `.db-${authority}`), count), `authority ${authority}`).toBe(digest)
    }
  })

  it('with two of four left out nothing is certified: rates are 0, quotients null, and it still ends with 0', async () => {
    const run = local('local', '--faults', '2', '--rate', '2000', '--duration', '2', '--json')
    const [code] = await run.exited
    expect(code, run.stderr).toBe(0)
    const result = JSON.parse(run.stdout) as AuthorityResult
    expect(result.certified).toEqual({
      transactions: 0,
      bytes: 0,
      batches: 0,
      tps: 0,
      bps: 0,
      latency_ms: { mean: null, p50: null, p99: null },
    })
    expect(result.cpu.ns_per_transaction_byte).toBeNull()
    expect(result.commits).toEqual({ count: 0, digest: null, agree: true })
    for (const { bps, latency_ms, tps } of [result.consensus, result.end_to_end]) {
      expect([tps, bps, latency_ms]).toEqual([0, 0, { mean: null, p50: null, p99: null }])
    }
    expect(result.sent_transactions).toBeGreaterThan(0)
    expect(result.lost_transactions).toBe(result.sent_transactions)
    expect(readdirSync(base)).toEqual([])
  })

  it('with one of four left out the others go on by the rule of the reference, and nothing is lost', async () => {
    const run = local(...['local', '--faults', '1', '--rate', '1000', '--duration', '2', '--rule', 'tusk', '--json'])
    const [code] = await run.exited
    expect(code, run.stderr).toBe(0)
    const result = JSON.parse(run.stdout) as AuthorityResult
    expect([result.config.rule, result.config.faults, result.lost_transactions]).toEqual(['tusk', 1, 0])
    expect([result.commits.agree, result.certified.transactions]).toEqual([true, result.sent_transactions])
  })

  it('the clients of several workers of an authority are all ordered', async () => {
    const run = local(...['local', '--nodes', '1', '--workers', '2', '--rate', '400', '--duration', '1', '--json'])
    const [code] = await run.exited
    expect(code, run.stderr).toBe(0)
    const result = JSON.parse(run.stdout) as AuthorityResult
    expect([result.sent_transactions, result.lost_transactions]).toEqual([400, 0])
    expect(result.end_to_end.latency_ms.p50).toBeGreaterThan(0)
  })

  it("without arguments it runs until Ctrl-C, which ends it with the reference's block and leaves no process and no file", async () => {
    const run = local()
    const children = await untilLoaded(run, 4)
    expect(children).toHaveLength(8)
    run.child.kill('SIGINT')
    const [code] = await run.exited
    expect(code, run.stderr).toBe(0)
    expect(run.stdout).toContain('ACK ms by peer')
    expect(run.stdout).toMatch(/^All 4 logs agree on \d+ commits/m)
    // A pipe gets no colours.
    expect(run.stdout).not.toContain('\u001b')
    expect(run.stdout).toContain(' + RESULTS')
    expect(children.filter(isRunning)).toEqual([])
    expect(processesWith(base)).toEqual([])
    expect(readdirSync(base)).toEqual([])
  })

  it('Ctrl-C while the nodes boot leaves no process and no file', async () => {
    const run = local('local')
    await until('a node starts', () => processesWith(base).length > 0)
    run.child.kill('SIGINT')
    expect((await run.exited)[0]).toBe(130)
    expect(processesWith(base)).toEqual([])
    expect(readdirSync(base)).toEqual([])
  })

  it('Ctrl-C while the clients boot ends it in order, with a result or without', async () => {
    const run = local(...TWO)
    // A client is killed by a signal that comes before it can hear it.
    await until('nodes and clients run', () => childrenOf(run.child.pid!).length === 4)
    run.child.kill('SIGINT')
    const [code] = await run.exited
    expect([0, 130], run.stderr).toContain(code)
    expect(run.stderr).not.toContain('ERR_')
    expect(readdirSync(base)).toEqual([])
  })

  it('with --split each authority is a process for its primary and one for each worker, and all that was sent is ordered', async () => {
    const run = local(
      ...['local', '--nodes', '1', '--workers', '2', '--rate', '400', '--duration', '2', '--split', '--json'],
    )
    let most: readonly string[] = []
    const look = setInterval(() => {
      const parts = childrenOf(run.child.pid!).map(commandOf)
      if (parts.length > most.length)
        most = parts.map((args) => ['primary', 'worker'].find((part) => args.includes(part)) ?? 'client')
    }, 20)
    const [code] = await run.exited
    clearInterval(look)
    expect(code, run.stderr).toBe(0)
    expect([...most].sort()).toEqual(['client', 'client', 'primary', 'worker', 'worker'])
    const result = JSON.parse(run.stdout) as AuthorityResult
    expect(result.config.split).toBe(true)
    expect(result.commits.agree).toBe(true)
    expect(result.lost_transactions).toBe(0)
    // Samples of both clients are found in the batches of their workers.
    for (const flow of [result.certified, result.consensus, result.end_to_end])
      expect(flow.latency_ms.p50).toBeGreaterThan(0)
    expect(run.stderr).toContain(' Collocate primary and workers: False')
    expect(readdirSync(base)).toEqual([])
  })

  it('a second signal ends it at once, and leaves no process and no file either', async () => {
    const run = local(...TWO, '--unbuffered')
    const children = await untilLoaded(run)
    const commands = children.map(commandOf)
    expect(commands.filter((args) => args.includes('client')).map((args) => args.includes('--unbuffered'))).toEqual(
      new Array(2).fill(true),
    )
    run.child.kill('SIGINT')
    await new Promise((resolve) => setTimeout(resolve, 300))
    run.child.kill('SIGINT')
    await run.exited
    await ended(...children)
    expect(readdirSync(base)).toEqual([])
  })

  it('kill -9 leaves no process, and the next run clears the files', async () => {
    const run = local(...TWO)
    const children = await untilLoaded(run)
    run.child.kill('SIGKILL')
    await run.exited
    await ended(...children)
    expect(readdirSync(base)).toEqual(['.narval'])
    const next = local('local', '--nodes', '1', '--rate', '100', '--duration', '1', '--json')
    expect((await next.exited)[0], next.stderr).toBe(0)
    expect(readdirSync(base)).toEqual([])
  })

  it('a node that dies ends the run with its name and its last lines, and leaves nothing', async () => {
    const run = local(...TWO)
    const children = await untilLoaded(run)
    const node = processesWith(base).find((pid) =>
      commandOf(pid).some((argument) => argument.endsWith('.node-1.json')),
    )!
    process.kill(node, 'SIGKILL')
    const [code] = await run.exited
    expect(code).toBe(1)
    expect(run.stderr).toMatch(/^authority-1 \| .*booted/m)
    expect(run.stderr).toMatch(/narval: ERR_CHILD_DIED: authority-1 ended by itself with signal SIGKILL[^\n]*\n$/)
    expect(children.filter(isRunning)).toEqual([])
    expect(readdirSync(base)).toEqual([])
  })

  it("a run that keeps its files leaves them in the directory that was named, and nobody else's are touched", async () => {
    const directory = join(base, 'kept')
    const run = local('local', '--nodes', '1', '--rate', '100', '--duration', '1', '--dir', directory, '--keep')
    const [code] = await run.exited
    expect(code, run.stderr).toBe(0)
    writeFileSync(join(directory, 'notes.txt'), 'mine')
    expect(readdirSync(directory).sort()).toEqual(
      ['.narval-local', '.committee.json', '.db-0', '.node-0.json', '.parameters.json', 'logs', 'notes.txt'].sort(),
    )
    expect(readdirSync(join(directory, 'logs')).sort()).toEqual(['authority-0.log', 'client-0-0.log'])
    const digest = /Batch ([^ ]+) contains \d+ B/.exec(
      readFileSync(join(directory, 'logs', 'authority-0.log'), 'utf8'),
    )![1]!
    const printed = local('batch', digest, '--store', join(directory, '.db-0', 'worker-0'))
    await printed.exited
    expect(printed.stdout).toContain(`digest        ${digest}\n`)
  })
})
