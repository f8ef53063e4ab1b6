/** Nodes that see one DAG in different orders, restart, and are compared. */
import { Consensus, type ConsensusOptions, type MakeRule } from '../../../src/threads/primary/consensus/consensus.js'
import type { Certificate, Commit, Digest, Header } from '../../../src/threads/primary/consensus/types.js'
import { faultyOf, type Random, shuffled, subset, type TestDag } from './dags.js'

export type Arrival = { readonly certificate: Certificate } | { readonly header: Header }

export interface ArrivalOptions {
  /** How far, in thirds of a round, something may come late. */
  readonly lag: number
  /** Some authors' certificates come later by as much, in thirds of a round. */
  readonly lateness?: number
}

/** What arrives at one node, in the order of its arrival. */
export function arrivals(random: Random, dag: TestDag, { lag, lateness = 0 }: ArrivalOptions): Arrival[] {
  const late = subset(random, dag.stakes, faultyOf(dag.stakes), lateness > 0 ? 0.7 : 0)
  const timed: { at: number; arrival: Arrival }[] = []
  for (const certificate of dag.certificates) {
    const { round, author } = certificate.header
    const more = late.has(author) ? random() * lateness : 0
    timed.push({ at: round * 3 + 2 + random() * lag + more, arrival: { certificate } })
  }
  for (const variants of dag.headers) {
    // Of an author that equivocates one node sees one header, another node another one, and a third node both.
    const seen = shuffled(random, variants).slice(0, random() < 0.8 ? 1 : 2)
    for (const header of seen) {
      if (random() < 0.85) timed.push({ at: header.round * 3 + random() * lag, arrival: { header } })
    }
  }
  return timed.sort((a, b) => a.at - b.at).map(({ arrival }) => arrival)
}

/** Any order whatever: a node that was cut off, and gets everything at once. */
export function anyOrder(random: Random, dag: TestDag): Arrival[] {
  return shuffled(random, arrivals(random, dag, { lag: 1 }))
}

/** A node: it holds back what has parents missing, as the primary does, and hands the rest to consensus. */
export class TestNode {
  readonly commits: Commit[] = []
  /** Whatever was handed to consensus, too old or not. */
  readonly certificates: Certificate[] = []
  readonly headers: Header[] = []
  consensus: Consensus
  private readonly options: ConsensusOptions
  private readonly makeRule: MakeRule | undefined
  private readonly delivered = new Set<Digest>()
  private waiting: Arrival[] = []

  constructor(options: ConsensusOptions, makeRule?: MakeRule) {
    this.options = options
    this.makeRule = makeRule
    this.consensus = new Consensus(options, undefined, makeRule)
  }

  /** Returns how many were handed over: what waited for it included. */
  receive(arrival: Arrival): number {
    this.waiting.push(arrival)
    let handedOver = 0
    for (let progress = true; progress; ) {
      const ready = this.waiting.filter((waiting) => this.isReady(waiting))
      progress = ready.length > 0
      handedOver += ready.length
      this.waiting = this.waiting.filter((waiting) => !ready.includes(waiting))
      for (const waiting of ready) this.handOver(waiting)
    }
    return handedOver
  }

  /** Kill and start: what it keeps is its state and, in some order with parents first, its certificates. */
  restart(random: Random, state = this.state()): void {
    this.commits.length = state.index
    this.consensus = new Consensus(this.options, JSON.parse(JSON.stringify(state)), this.makeRule)
    const stored = shuffled(random, this.certificates).sort((a, b) => a.header.round - b.header.round)
    for (const certificate of stored) this.commits.push(...this.consensus.addCertificate(certificate))
  }

  state(): ReturnType<Consensus['snapshot']> {
    return this.consensus.snapshot()
  }

  /** The commits, as lines that can be compared. */
  log(): string[] {
    return this.commits.map(logLine)
  }

  private isReady(arrival: Arrival): boolean {
    const { round, parents } = 'header' in arrival ? arrival.header : arrival.certificate.header
    return round - 1 <= this.consensus.gcRound || parents.every((parent) => this.delivered.has(parent))
  }

  private handOver(arrival: Arrival): void {
    if ('header' in arrival) {
      this.headers.push(arrival.header)
      this.commits.push(...this.consensus.addHeader(arrival.header).commits)
      return
    }
    const { certificate } = arrival
    this.certificates.push(certificate)
    this.delivered.add(certificate.digest)
    this.commits.push(...this.consensus.addCertificate(certificate))
  }
}

export function logLine({ index, anchor, vertices, timestamp, batches }: Commit): string {
  const listed = batches.map(({ author, digest, worker, sequence }) => `${author}.${worker}.${sequence}=${digest}`)
  return `${index} ${anchor.digest} at ${timestamp}: ${vertices.map(({ digest }) => digest).join(' ')} | ${listed.join(' ')}`
}

export function runNode(options: ConsensusOptions, dag: readonly Arrival[], makeRule?: MakeRule): TestNode {
  const node = new TestNode(options, makeRule)
  for (const arrival of dag) node.receive(arrival)
  return node
}

/** Whether one of two logs is a beginning of the other. */
export function agree(a: readonly string[], b: readonly string[]): boolean {
  return a.slice(0, b.length).every((line, at) => line === b[at])
}
