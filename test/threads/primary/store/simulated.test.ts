/** What the primaries of a simulated committee had their store keep, in a real one, over restarts. */
import { describe, expect, test } from 'vitest'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { SequenceRuns } from '../../../../src/threads/primary/consensus/sequence-runs.js'
import type { StoredState, Write } from '../../../../src/threads/primary/store/writes.js'
import { openPrimaryStore, readLog, written } from '../../../support/primary-stores.js'
import { seeded } from '../../../support/random.js'
import { scheduleOf } from '../../../support/simulator/schedule.js'
import { COMMITTEE_DIGEST, Simulation } from '../../../support/simulator/simulation.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { SETTINGS } from '../../../support/threads/commit-pattern.mjs'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const name = ({ author, digest, sequence, worker }: StoredState['payload'][number]): string =>
  `${author}.${worker}.${sequence} ${hex(digest)}`

/** A state as texts, without what has no order. */
function comparable({ consensus, ...state }: StoredState): unknown {
  const { batches = [], ...position } = (consensus ?? {}) as { batches?: [number, number, string][] }
  return {
    position,
    runs: batches.map(([author, worker, runs]) => `${author}.${worker} ${new SequenceRuns(runs)}`),
    certificates: state.certificates.map(hex).sort(),
    ownHeader: state.ownHeader && hex(state.ownHeader),
    votes: state.votes.map(hex).sort(),
    ownBatches: state.ownBatches.map(name).sort(),
    payload: state.payload.map(name).sort(),
    evidence: state.evidence.map(({ accused, kind, round }) => `${accused} ${kind} ${round}`).sort(),
    signing: state.signing,
    log: state.log && { ...state.log, digest: hex(state.log.digest), peaks: state.log.peaks.map(hex) },
    checkpointSigned: state.checkpointSigned && hex(state.checkpointSigned),
    checkpointAttested: state.checkpointAttested && hex(state.checkpointAttested),
  }
}

/** All turns of one authority, and what it has at the end. */
function simulated(seed: number): {
  turns: Write[][]
  state: StoredState
  commits: number
  gcDepth: number
  rule: string
} {
  const schedule = scheduleOf(seed, {
    rule: 'shoal',
    stakes: [1, 1, 1, 1],
    byzantine: new Map([[3, 'equivocates']]),
    losesStore: undefined,
    chaosMs: 3_000,
    delayMs: 3,
    batchEveryMs: 50,
    crashShare: 0.001,
  })
  const simulation = new Simulation(schedule)
  const { store } = simulation.nodes[0]!
  const turns: Write[][] = []
  const apply = store.apply.bind(store)
  store.apply = (writes) => {
    turns.push([...writes])
    apply(writes)
  }
  simulation.run()
  const { gcDepth, rule } = schedule
  return { turns, state: store.state(), commits: store.commits.length, gcDepth, rule }
}

describe.each([1, 2])('of the schedule %i', (seed) => {
  test('all is there again, as the simulator has it, wherever it restarts', async () => {
    const { commits, gcDepth, rule, state, turns } = simulated(seed)
    expect(commits).toBeGreaterThan(5)
    const random = seeded(seed)
    const directory = temporaryDirectory()
    const settings = { ...SETTINGS, committeeDigest: hex(COMMITTEE_DIGEST), gcDepth, rule }
    let store = await openPrimaryStore(directory, { settings })
    await written(store, { type: 'signing', signing: { state: 'above', round: 0 } })
    let told = 0
    for (const [at, writes] of turns.entries()) {
      store.write(writes, () => {
        expect(told).toBe(at)
        told += 1
      })
      if (random() > 0.1) continue
      await written(store)
      if (random() > 0.1) continue
      await store.close()
      store = await openPrimaryStore(directory, { settings })
    }
    await store.close()
    store = await openPrimaryStore(directory, { settings })
    expect(told).toBe(turns.length)
    expect(comparable(store.state())).toEqual(comparable(state))
    expect(state.checkpointAttested).toBeDefined()
    await store.close()
    expect(readLog(directory)).toHaveLength(commits)
    const damaged: string[] = []
    checkStore(directory, { onDamaged: (...what) => damaged.push(what.join(': ')), onProgress: () => {} })
    expect(damaged).toEqual([])
  })
})
