/** The workers of all authorities, one each: they make batches, spread them, and say to their primary what they have. */
import { createHash } from 'node:crypto'
import type { BatchEntry } from '../../../src/shared/wire/primary/header.js'
import type { PayloadEntry } from '../../../src/threads/primary/consensus/types.js'
import type { WorkerRequest } from '../../../src/threads/primary/turn.js'
import type { Simulation } from './simulation.js'
import { batchName } from './store.js'

const FETCH_RETRY_MS = 200

export class SimulatedWorkers {
  /** Batches of which a quorum of workers has a copy, by name: what must be in the order in the end. */
  readonly certified = new Map<string, BatchEntry>()
  private readonly simulation: Simulation
  /** By authority: what its worker has on its disk, by digest. */
  private readonly stored: Map<string, BatchEntry>[]
  private readonly sequences: bigint[]
  /** By authority: own batches that are certified and not known to be in the order. */
  private readonly uncommitted: Map<string, BatchEntry>[]

  constructor(simulation: Simulation) {
    this.simulation = simulation
    const { stakes } = simulation.schedule
    this.stored = stakes.map(() => new Map())
    this.uncommitted = stakes.map(() => new Map())
    this.sequences = stakes.map(() => 0n)
  }

  /** A batch of this authority's worker: it reaches a quorum, and others later or never. */
  produce(author: number): void {
    const { schedule, clock } = this.simulation
    const { random, stakes } = schedule
    this.sequences[author]! += random() < 0.02 ? 5n : 1n
    const sequence = this.sequences[author]!
    const digest = createHash('sha256').update(`batch ${author} ${sequence}`).digest()
    const batch: BatchEntry = { digest: new Uint8Array(digest), author, worker: 0, sequence }
    const others = stakes.map((_, index) => index).filter((index) => index !== author)
    others.sort(() => random() - 0.5)
    const quorum = Math.floor((2 * stakes.reduce((sum, stake) => sum + stake, 0)) / 3) + 1
    let stake = stakes[author]!
    let atMs = clock.ms
    this.keep(author, batch)
    for (const other of others) {
      const isNeeded = stake < quorum
      if (!isNeeded && random() < 0.2) continue
      stake += stakes[other]!
      const delayMs = random() * 4 * schedule.delayMs
      if (isNeeded) atMs = Math.max(atMs, clock.ms + delayMs)
      clock.after(delayMs, () => this.keep(other, batch))
    }
    clock.at(atMs, () => {
      this.certified.set(batchName(batch), batch)
      this.uncommitted[author]!.set(batchName(batch), batch)
      this.simulation.nodes[author]!.handle({ type: 'own-batch', batch })
    })
  }

  /** Whether workers with a validity of the stake have a copy: one of them is honest. */
  isHeld({ digest, author, sequence }: PayloadEntry): boolean {
    const { stakes } = this.simulation.schedule
    const total = stakes.reduce((sum, stake) => sum + stake, 0)
    const key = Buffer.from(digest, 'latin1').toString('hex')
    let held = 0
    for (const [index, stored] of this.stored.entries()) {
      const batch = stored.get(key)
      if (batch?.author === author && batch.sequence === sequence) held += stakes[index]!
    }
    return held >= Math.floor((total + 2) / 3)
  }

  /** Whether this authority's own worker has it. */
  has(authority: number, { digest }: PayloadEntry): boolean {
    return this.stored[authority]!.has(Buffer.from(digest, 'latin1').toString('hex'))
  }

  /** The primary has started: it is told again what it may not know. */
  primaryStarted(authority: number): void {
    this.simulation.nodes[authority]!.handle({ type: 'worker-store', worker: 0, storeId: new Uint8Array(16) })
    if (this.simulation.schedule.sabotage === 'forgets-own-batches') return
    for (const batch of this.uncommitted[authority]!.values()) {
      this.simulation.nodes[authority]!.handle({ type: 'own-batch', batch })
    }
  }

  request(authority: number, request: WorkerRequest): void {
    if (request.type === 'synchronize') {
      for (const digest of request.digests) this.fetch(authority, Buffer.from(digest).toString('hex'), 20)
      return
    }
    if (request.type === 'ordered') return
    for (const { vertices } of request.commits) {
      for (const { certificate } of vertices) {
        for (const batch of certificate.header.payload) this.uncommitted[authority]!.delete(batchName(batch))
      }
    }
  }

  private fetch(authority: number, digest: string, triesLeft: number): void {
    const { clock, schedule, nodes } = this.simulation
    const own = this.stored[authority]!.get(digest)
    const delayMs = own === undefined ? 2 * schedule.delayMs : 1
    clock.after(delayMs, () => {
      const holder = nodes.findIndex(
        ({ index, isUp }) => isUp && this.simulation.isLinked(index, authority) && this.stored[index]!.has(digest),
      )
      const batch = own ?? this.stored[holder]?.get(digest)
      if (batch !== undefined) {
        this.stored[authority]!.set(digest, batch)
        if (batch.author !== authority) nodes[authority]!.handle({ type: 'others-batch', batch })
      } else if (triesLeft > 0) {
        clock.after(FETCH_RETRY_MS, () => this.fetch(authority, digest, triesLeft - 1))
      }
    })
  }

  private keep(authority: number, batch: BatchEntry): void {
    this.stored[authority]!.set(Buffer.from(batch.digest).toString('hex'), batch)
    if (batch.author !== authority) this.simulation.nodes[authority]!.handle({ type: 'others-batch', batch })
  }
}
