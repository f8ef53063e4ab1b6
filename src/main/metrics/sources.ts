/** What metrics are read from when somebody asks for them. Every getter is cheap and has no effect. */
import type { Counters, ThreadName } from '../../shared/memory/counters.js'
import type { RingName } from '../../shared/memory/layout.js'
import type { Health } from './health.js'

export interface MetricsSources {
  /** The rows of shared memory that the threads write. */
  readonly counters: { readonly [T in ThreadName]: Counters<T> }
  /** Messages in a ring now. */
  ringDepth(ring: RingName): number
  slotsFree(): SlotsFree
  /** Own batches that are sealed and not certified. */
  batchesInFlight(): number
  /** Batches read from the store for replies to peers, and not sent yet. */
  replyBatches(): number
  /** One for each peer, connected or not. */
  peers(): Iterable<PeerSource>
  /** One for each authority, ourselves included. */
  authors(): Iterable<AuthorSource>
  primary(): PrimarySource
  health(): Health
}

export interface SlotsFree {
  /** Of the batch-maker's slots, those that no batch holds. */
  readonly own: number
  /** Inbound slots of all peers. */
  readonly inbound: number
  /** Inbound slots for batches that were asked for. */
  readonly sync: number
}

export interface PeerSource {
  /** The authority's name, in base64. */
  readonly name: string
  readonly connected: boolean
  /** Batches that wait to be sent to it. */
  readonly queued: number
  /** Batches sent, or being sent, without an ACK yet. */
  readonly inFlight: number
  /** Batches that may be in flight to it. */
  readonly windowLimit: number
  /** Of our share of its store, 0 to 1. */
  readonly shareUsed: number
}

export interface AuthorSource {
  /** The authority's name, in base64. */
  readonly name: string
  /** What counts in its share: under a narval primary what nobody has named, else all that is stored. */
  readonly countedBytes: number
  readonly shareBytes: number
}

export interface PrimarySource {
  /** Messages that wait for it. */
  readonly queued: number
  /** Reports of others' batches that were dropped to make room, since the start. */
  readonly dropped: number
  readonly connected: boolean
}
