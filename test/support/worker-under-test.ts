/**
 * A worker from dist/ in this process, in a committee whose other members are `Libp2pPeer`s: the tests of hostile and
 * broken peers.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'vitest'
import type { CertifiedBatch, Worker } from '../../src/index.js'
import { type Committee, parseCommittee } from '../../src/shared/config/committee.js'
import { type CommitteeFile, localCommittee } from '../../src/shared/config/committee-file.js'
import { type Keys, keysOf } from '../../src/shared/config/keys.js'
import { defaultParameters, type Parameters } from '../../src/shared/config/parameters.js'
import { syncSlotsPerPeer } from '../../src/shared/memory/layout.js'
import type { PeerRefusal } from '../../src/shared/refusals.js'
import { encodeBatch } from '../../src/shared/wire/batch.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import type { WorkerPrimaryMessage } from '../../src/shared/wire/primary-messages.js'
import { freePorts } from './free-ports.js'
import { Libp2pPeer, type Libp2pPeerOptions } from './libp2p-peer.js'
import type { RawStream } from './raw-stream.js'
import { until, within } from './until.js'

export interface WorkerUnderTestOptions {
  readonly parameters?: Partial<Parameters>
  readonly authorities?: number
  /** Changes the committee file before the worker reads it. */
  readonly committee?: (file: CommitteeFile, keys: readonly Keys[]) => CommitteeFile | Promise<CommitteeFile>
}

type Narval = typeof import('../../src/index.js')

export class WorkerUnderTest {
  readonly worker: Worker
  readonly committee: Committee
  /** In the order of the committee; the worker under test is the first, and so dials the others at once. */
  readonly keys: readonly Keys[]
  readonly lines: readonly string[]
  readonly reports: readonly WorkerPrimaryMessage[]
  private readonly parameters: Parameters
  private readonly directory: string
  private readonly peers: Libp2pPeer[] = []
  private readonly certifiedBatches: CertifiedBatch[] = []
  private sequence = 1n

  private constructor(
    worker: Worker,
    init: { committee: Committee; parameters: Parameters; keys: readonly Keys[]; directory: string },
    heard: { lines: string[]; reports: WorkerPrimaryMessage[] },
  ) {
    this.worker = worker
    this.committee = init.committee
    this.keys = init.keys
    this.directory = init.directory
    this.parameters = init.parameters
    this.lines = heard.lines
    this.reports = heard.reports
    void this.follow()
  }

  static async start(options: WorkerUnderTestOptions = {}): Promise<WorkerUnderTest> {
    const authorities = options.authorities ?? 4
    const keys = Array.from({ length: authorities }, (_, i) => keysOf(new Uint8Array(32).fill(i + 1))).sort((a, b) =>
      Buffer.compare(a.publicKey, b.publicKey),
    )
    const names = keys.map(({ name }) => name)
    const file = localCommittee(names, 1, await freePorts(authorities * 5))
    const committee = parseCommittee((await options.committee?.(file, keys)) ?? file, 'test')
    const directory = mkdtempSync(join(tmpdir(), 'narval-test-'))
    const lines: string[] = []
    const reports: WorkerPrimaryMessage[] = []
    const log = (text: string): void => void lines.push(text)
    // The product as it is built: its threads are files in dist/.
    const url = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href
    const { startWorker } = (await import(/* @vite-ignore */ url)) as Narval
    const parameters: Parameters = {
      ...defaultParameters(),
      ackLevel: 'stored',
      maxBatchDelayMs: 10,
      ...options.parameters,
    }
    const worker = await startWorker({
      keys: keys[0]!,
      committee,
      store: join(directory, 'store'),
      bind: '127.0.0.1',
      parameters,
      log: { error: log, warn: log, info: log, debug() {}, trace() {} },
      primary: (report) => void reports.push(report),
      poisonFreedSlots: true,
    })
    return new WorkerUnderTest(worker, { committee, parameters, keys, directory }, { lines, reports })
  }

  /** Where the worker listens for other workers. */
  get address(): string {
    return this.addressOf(0)
  }

  addressOf(index: number): string {
    return this.committee.worker(index, 0).workerToWorker.multiaddr
  }

  /** Starts a peer with the keys of this authority (or others), not yet connected. */
  async peer(index: number, options: Partial<Libp2pPeerOptions> = {}): Promise<Libp2pPeer> {
    const { batchBytesMax } = this.parameters
    const init = { keys: this.keys[index]!, committee: this.committee, batchBytesMax, ...options }
    const peer = await Libp2pPeer.start(init, this.keys[0]!.publicKey)
    this.peers.push(peer)
    return peer
  }

  /** Starts peers that do all that is asked of them, connected. */
  async honest(...indices: number[]): Promise<Libp2pPeer[]> {
    const peers = await Promise.all(indices.map((index) => this.peer(index)))
    for (const peer of peers) await peer.connect(this.address)
    return peers
  }

  async dismiss(peer: Libp2pPeer): Promise<void> {
    this.peers.splice(this.peers.indexOf(peer), 1)
    await peer.stop()
  }

  /** A batch as this authority's worker would make it. Each is another one. */
  batch(transactionBytes = 100, fields: { workerId?: number; sequence?: bigint } = {}): Uint8Array {
    this.sequence += 1n
    const transaction = new Uint8Array(transactionBytes).fill(Number(this.sequence % 251n))
    Buffer.from(transaction.buffer).writeUInt32BE(Number(this.sequence))
    return encodeBatch([transaction], { workerId: 0, sequence: this.sequence, ...fields })
  }

  /** Bytes of the metrics that match a name and some labels, added up. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const rows = (await this.worker.metrics()).split('\n').filter((row) => row.startsWith(name))
    let sum = 0
    for (const row of rows) {
      const [, rowName, rowLabels, value] = /^([a-z_]+)(?:\{(.*)\})? (.*)$/.exec(row) ?? []
      if (rowName !== name) continue
      if (Object.entries(labels).every(([key, label]) => rowLabels?.includes(`${key}="${label}"`))) sum += Number(value)
    }
    return sum
  }

  refusals(kind: 'peer' | 'ack' | 'batch', reason: string): Promise<number> {
    return this.metric('narval_refusals_total', { kind, reason })
  }

  /** Runs an attack and waits until it was counted so many times (at least once, without a number). */
  async counts(
    kind: 'peer' | 'ack' | 'batch',
    reason: string,
    attack: () => Promise<unknown>,
    times?: number,
  ): Promise<void> {
    const before = await this.refusals(kind, reason)
    await attack()
    await until(
      `${kind} ${reason} is counted`,
      async () => (await this.refusals(kind, reason)) - before >= (times ?? 1),
    )
    if (times !== undefined) expect((await this.refusals(kind, reason)) - before).toBe(times)
  }

  /** Runs an attack on a stream: it is refused with this reason, once, which is logged, and the stream is gone. */
  async endsStream(stream: RawStream, reason: PeerRefusal, attack: () => Promise<unknown>): Promise<void> {
    await this.counts(
      'peer',
      reason,
      async () => {
        // The end may come before all of the attack was sent.
        await attack().catch(() => {})
        await stream.gone()
      },
      1,
    )
    expect(this.refusalLines('peer', reason).length).toBeGreaterThan(0)
  }

  /** The log lines about a refusal. */
  refusalLines(kind: 'peer' | 'ack' | 'batch', reason: string): string[] {
    return this.lines.filter((line) => line.startsWith(`Refused ${kind} `) && line.includes(`: ${reason}: `))
  }

  /** Submits a transaction and waits until its batch is certified: enough of the peers must be serving. */
  async certifiesOne(): Promise<CertifiedBatch> {
    const before = this.certifiedBatches.length
    await this.worker.submit(new Uint8Array(64).fill(7))
    await until(
      () => `a batch is certified; the log: ${this.lines.slice(-10).join('\n')}`,
      () => this.certifiedBatches.length > before,
    )
    return this.certifiedBatches.at(-1)!
  }

  get certified(): readonly CertifiedBatch[] {
    return this.certifiedBatches
  }

  /** Sends a good batch and waits for its ACK. */
  async accepts(stream: RawStream, batch = this.batch()): Promise<void> {
    const before = stream.acks.length
    await stream.sendFrame(FRAME_TYPES.batch, batch)
    await until(
      () => `a batch is acknowledged (the stream is ${stream.stream.status})`,
      () => stream.acks.length > before,
    )
    expect(stream.acks.at(-1)!.status).toBe(0)
  }

  /** Slots of each peer for batches that it was asked for. */
  get syncSlotsPerPeer(): number {
    const { batchBytesMax, inboundSlotsPerPeer, ownSlots } = this.parameters
    return syncSlotsPerPeer({ authorities: this.committee.size, batchBytesMax, inboundSlotsPerPeer, ownSlots })
  }

  /** Slots for batches of others are all free. */
  async slotsAllFree(): Promise<void> {
    const peers = this.committee.size - 1
    for (const [arena, perPeer] of [
      ['inbound', this.parameters.inboundSlotsPerPeer],
      ['sync', this.syncSlotsPerPeer],
    ] as const) {
      await until(`all slots for ${arena} are free`, async () => {
        return (await this.metric('narval_slots_free', { arena })) === peers * perPeer
      })
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.peers.splice(0).map((peer) => peer.stop()))
    await within('the worker closes', this.worker.close())
    rmSync(this.directory, { recursive: true, force: true })
  }

  private async follow(): Promise<void> {
    for await (const batch of this.worker.certified) this.certifiedBatches.push(batch)
  }
}
