/**
 * Runs alone: four processes.
 *
 * An application that keeps its state and its last commit in one write, on four authorities: one of them is killed -9 again
 * and again, and has the same states as the others at the same commits.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { narval } from '../../support/authority-under-test.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

interface State {
  readonly index: number
  readonly count: number
  readonly sum: string
}

const SCRIPT = new URL('../../support/application-process.mjs', import.meta.url).pathname

class Running {
  readonly states: State[] = []
  private child: ChildProcess | undefined
  private problem = ''
  private runs = 0
  private readonly options: { readonly committee: unknown; readonly seed: number; readonly store: string }

  constructor(options: Running['options']) {
    this.options = options
  }

  start(): void {
    this.runs += 1
    const first = this.options.seed * 10_000_000 + this.runs * 1_000_000
    const argument = JSON.stringify({ ...this.options, first })
    this.child = spawn(process.execPath, [SCRIPT, argument], { stdio: ['ignore', 'pipe', 'pipe'] })
    let rest = ''
    this.child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
      const lines = `${rest}${piece}`.split('\n')
      rest = lines.pop()!
      this.states.push(...lines.map((line) => JSON.parse(line) as State))
    })
    this.child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      this.problem += piece
    })
  }

  async kill(): Promise<void> {
    const child = this.child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'close')
    child.kill('SIGKILL')
    await exited
  }

  /** Until it has applied so many commits with batches more than now. */
  async more(commits: number): Promise<void> {
    const target = this.states.length + commits
    await until(
      () => `${target} commits, of which it has ${this.states.length}: ${this.problem}`,
      () => this.states.length >= target,
    )
  }
}

test('an application that is killed -9 at any step has the states of the others', async () => {
  const seeds = [1, 2, 3, 4]
  const keys = seeds.map((seed) => keysOf(new Uint8Array(32).fill(seed)))
  const committee = localCommittee(
    keys.map(({ name }) => name),
    1,
    await freePorts(20),
  )
  const directory = temporaryDirectory()
  const all = seeds.map((seed, at) => {
    const store = join(directory, `authority-${seed}`)
    narval.markFresh(store, keys[at]!)
    return new Running({ committee, seed, store })
  })
  onTestFinished(async () => {
    for (const one of all) await one.kill()
  })
  for (const one of all) one.start()
  const [killed, other] = all as [Running, Running]
  for (const commits of [20, 3]) {
    await killed.more(commits)
    await killed.kill()
    await other.more(5)
    killed.start()
  }
  await killed.more(10)
  const known = new Map(other.states.map((state) => [state.index, state]))
  for (const one of all) {
    const common = one.states.filter(({ index }) => known.has(index))
    expect(common.length).toBeGreaterThan(20)
    expect(common).toEqual(common.map(({ index }) => known.get(index)))
  }
  // Applied and written, or not at all: of what it had written when it was killed nothing came again.
  const indices = killed.states.map(({ index }) => index)
  expect(new Set(indices).size).toBe(indices.length)
  expect(killed.states.at(-1)!.count).toBeGreaterThan(30)
}, 180_000)
