/**
 * Main and the processor: what the thread is started with, what the two say to each other over their rings, and what
 * main asks beside the batches over a message port.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Layout } from '../layout.js'
import type { Codec } from '../ring.js'
import {
  AUTHOR,
  COUNT,
  DIGEST,
  KIND,
  LENGTH,
  LEVEL,
  PEER,
  readBytes,
  SEQUENCE,
  SLOT,
  unknownKind,
  writeBytes,
} from './descriptor.js'

export interface ProcessorOptions {
  readonly workerId: number
  readonly batchBytesMax: number
  /** Public keys by authority index. */
  readonly authorities: readonly Uint8Array[]
  /** Stakes by authority index. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  /** Bytes that stored batches may take, those included that are kept free for own batches under way. */
  readonly storeBytesMax: number
  /** Given where the primary says what is named and what is committed. */
  readonly lifetime?: LifetimeOptions | undefined
  /** Log what the reference logs with its `benchmark` feature. */
  readonly benchmark: boolean
}

export interface LifetimeOptions {
  /** What the headers of `gc_depth` rounds of all authorities can list, in bytes as they are stored. */
  readonly namedBytesMax: number
  /** What batches may take that a commit has; 0 for what all others leave. */
  readonly retentionBytes: number
}

export interface StoreOptions {
  readonly directory: string
  /** The authority's public key: a store belongs to one worker of one authority. */
  readonly authority: Uint8Array
  readonly workerId: number
  /** What `put` waits for: the commit, or the flush as well. */
  readonly level: 'stored' | 'durable'
  /** How many Cleanup rounds a batch is kept after its stamp; 0 keeps everything. */
  readonly retentionRounds: number
  /**
   * Given where the primary says what is committed: no batch is deleted before, whatever its age. So many commits after
   * that it may be; 0 keeps everything. Cleanups count for nothing then.
   */
  readonly retentionCommits?: number | undefined
}

export interface ProcessorTask {
  readonly layout: Layout
  /** Reports to main. */
  readonly port: MessagePort
  /** Requests from main; its closing ends the thread. */
  readonly control: MessagePort
  readonly processor: ProcessorOptions
  readonly store: StoreOptions
}

/** main → processor, own batches. */
export type OwnWork = {
  readonly kind: 'own'
  readonly slot: number
  readonly sequence: bigint
  readonly byteLength: number
}

/** main → processor, batches of others. */
export type InboundWork = {
  readonly kind: 'inbound'
  readonly slot: number
  /** Index of the authority whose worker sent it. */
  readonly peer: number
  /** Index of the authority that made it; not the peer's where it was fetched from a third party. */
  readonly author: number
  readonly byteLength: number
  /** The digest asked for, if it was asked for. */
  readonly expected: Uint8Array | null
}

/** Why a batch of another authority was not stored; its place in the list is its code in a descriptor. */
export const INBOUND_STATUSES = ['ok', 'invalid', 'quota', 'store-full', 'not-as-asked'] as const
export type InboundStatus = (typeof INBOUND_STATUSES)[number]

/** processor → main. One for each work, after its commit. */
export type ProcessorToMain =
  | {
      readonly kind: 'own-stored'
      readonly slot: number
      readonly byteLength: number
      readonly sequence: bigint
      readonly digest: Uint8Array
    }
  | {
      readonly kind: 'inbound-done'
      readonly slot: number
      readonly byteLength: number
      readonly peer: number
      readonly author: number
      readonly sequence: bigint
      readonly digest: Uint8Array
      readonly status: InboundStatus
      /** How much of its share the author has used here, in thousandths. */
      readonly used: number
      /** It was stored before; it is acknowledged and reported again. */
      readonly again: boolean
    }

export const ownWork: Codec<OwnWork> = {
  write(view, at, message) {
    view.setUint8(at + KIND, 1)
    view.setUint32(at + SLOT, message.slot, true)
    view.setBigUint64(at + SEQUENCE, message.sequence, true)
    view.setUint32(at + LENGTH, message.byteLength, true)
  },
  read(view, at) {
    return {
      kind: 'own',
      slot: view.getUint32(at + SLOT, true),
      sequence: view.getBigUint64(at + SEQUENCE, true),
      byteLength: view.getUint32(at + LENGTH, true),
    }
  },
}

export const inboundWork: Codec<InboundWork> = {
  write(view, at, message) {
    view.setUint8(at + KIND, message.expected === null ? 1 : 2)
    view.setUint16(at + PEER, message.peer, true)
    view.setUint32(at + SLOT, message.slot, true)
    view.setUint32(at + LENGTH, message.byteLength, true)
    view.setUint32(at + AUTHOR, message.author, true)
    if (message.expected !== null) writeBytes(view, at + DIGEST, message.expected)
  },
  read(view, at) {
    return {
      kind: 'inbound',
      peer: view.getUint16(at + PEER, true),
      slot: view.getUint32(at + SLOT, true),
      byteLength: view.getUint32(at + LENGTH, true),
      author: view.getUint32(at + AUTHOR, true),
      expected: view.getUint8(at + KIND) === 2 ? readBytes(view, at + DIGEST) : null,
    }
  },
}

const AGAIN = 0x80

export const processorToMain: Codec<ProcessorToMain> = {
  write(view, at, message) {
    view.setUint8(at + KIND, message.kind === 'own-stored' ? 1 : 2)
    view.setUint32(at + SLOT, message.slot, true)
    view.setBigUint64(at + SEQUENCE, message.sequence, true)
    view.setUint32(at + LENGTH, message.byteLength, true)
    writeBytes(view, at + DIGEST, message.digest)
    if (message.kind === 'own-stored') return
    view.setUint8(at + LEVEL, INBOUND_STATUSES.indexOf(message.status) | (message.again ? AGAIN : 0))
    view.setUint16(at + PEER, message.peer, true)
    view.setUint32(at + AUTHOR, message.author, true)
    view.setUint32(at + COUNT, message.used, true)
  },
  read(view, at) {
    const kind = view.getUint8(at + KIND)
    const slot = view.getUint32(at + SLOT, true)
    const sequence = view.getBigUint64(at + SEQUENCE, true)
    const byteLength = view.getUint32(at + LENGTH, true)
    const digest = readBytes(view, at + DIGEST)
    if (kind === 1) return { kind: 'own-stored', slot, byteLength, sequence, digest }
    if (kind !== 2) return unknownKind(kind)
    const level = view.getUint8(at + LEVEL)
    return {
      kind: 'inbound-done',
      slot,
      byteLength,
      sequence,
      digest,
      peer: view.getUint16(at + PEER, true),
      author: view.getUint32(at + AUTHOR, true),
      used: view.getUint32(at + COUNT, true),
      status: INBOUND_STATUSES[level & ~AGAIN] ?? unknownKind(level),
      again: (level & AGAIN) !== 0,
    }
  },
}

/** Sequences of own batches, with the first and without the last. */
export interface SequenceRange {
  readonly from: bigint
  readonly before: bigint
}

export interface StoredOwnBatch {
  readonly sequence: bigint
  readonly digest: Uint8Array
  readonly transactions: number
  readonly transactionBytes: number
}

/** A stored batch, as the index knows it. */
export interface KeptBatch {
  readonly digest: Uint8Array
  /** Public key. */
  readonly author: Uint8Array
  readonly sequence: bigint
  /** Its author's worker itself handed it over. */
  readonly isDelivered: boolean
}

/** Own batches of a range of sequences. */
export interface OwnBatches {
  readonly found: readonly StoredOwnBatch[]
  /** Where the walk is to go on: the range's end if all of it was walked. */
  readonly next: bigint
  /** The highest sequence of the own batches that were deleted; 0 if none was. */
  readonly deleted: bigint
}

/**
 * What main asks of the processor beside the batches themselves: reads and rare writes of the store, over a message
 * port, one answer for each request. Batches are transferred, not copied.
 */
export type ProcessorRequest =
  /** The bytes of stored batches. */
  | { readonly type: 'get'; readonly digest: Uint8Array }
  /** Which of these are stored; with `touch` those get the newest stamp. */
  | { readonly type: 'find'; readonly digests: readonly Uint8Array[]; readonly touch: boolean }
  /** The primary has been told of these own batches. */
  | { readonly type: 'reported'; readonly digests: readonly Uint8Array[] }
  /**
   * Batches are stamped with `round` from now on. The primary's own round may be another, where its rounds began anew; it
   * is the same unless given.
   */
  | { readonly type: 'cleanup'; readonly round: bigint; readonly primaryRound?: bigint }
  /** What the last of them said. */
  | { readonly type: 'cleanup-state' }
  /** With `after`, above that sequence: another store of this worker may have used those up to it. */
  | { readonly type: 'reserve-sequences'; readonly after?: bigint }
  /** A walk over own batches that were not reported, in the order of their sequences, at most WALK_CHUNK at a time. */
  | ({ readonly type: 'unreported' } & SequenceRange)
  /** A walk over all own batches, in the order of their sequences, at most WALK_CHUNK at a time. */
  | ({ readonly type: 'own' } & SequenceRange)
  /** A walk over the batches of the last `rounds` stamps, at most WALK_CHUNK at a time. */
  | { readonly type: 'recent'; readonly rounds: bigint; readonly after: Uint8Array | undefined }
  /** A walk over the batches that no commit has, without own ones that were not reported; at most WALK_CHUNK at a time. */
  | { readonly type: 'uncommitted'; readonly after: Uint8Array | undefined }
  /** Which store this is, and up to which commit it knows what is committed. */
  | { readonly type: 'commit-state' }
  /**
   * These batches are in the primary's order: with `applied`, all of the commits up to that one were handed in by now; with
   * `partOf`, more of that commit are to come.
   */
  | {
      readonly type: 'committed'
      readonly digests: readonly Uint8Array[]
      readonly applied?: bigint | undefined
      readonly partOf?: bigint | undefined
    }
  /**
   * The primary has named these batches, in a header that it voted for or in a certificate, stored or not, and no commit has
   * them; with `isAnew`, no others.
   */
  | { readonly type: 'named'; readonly digests: readonly Uint8Array[]; readonly isAnew: boolean }
  /** It had, and nothing that can still be ordered lists them any more. */
  | { readonly type: 'unnamed'; readonly digests: readonly Uint8Array[] }

export interface KeptBatches {
  readonly found: readonly KeptBatch[]
  /** Where the walk is to go on; undefined if it is over. */
  readonly next: Uint8Array | undefined
}

export interface ProcessorAnswers {
  get: { readonly author: Uint8Array; readonly bytes: Uint8Array<ArrayBuffer> } | undefined
  /** Of each digest asked for. */
  find: readonly (Pick<KeptBatch, 'author' | 'isDelivered' | 'sequence'> | undefined)[]
  reported: undefined
  cleanup: { readonly deleted: number }
  'cleanup-state': { readonly stamp: bigint; readonly primaryRound: bigint }
  'reserve-sequences': { readonly start: bigint; readonly end: bigint }
  unreported: readonly { readonly sequence: bigint; readonly digest: Uint8Array }[]
  own: OwnBatches
  recent: KeptBatches
  uncommitted: KeptBatches
  /** `isSettled`: no batch is uncommitted. */
  'commit-state': {
    readonly storeId: Uint8Array
    readonly applied: bigint
    readonly isSettled: boolean
    readonly isNew: boolean
  }
  committed: undefined
  named: undefined
  unnamed: undefined
}

export interface ProcessorCall {
  readonly id: number
  readonly request: ProcessorRequest
}

export interface ProcessorReply {
  readonly id: number
  readonly answer: ProcessorAnswers[keyof ProcessorAnswers]
}
