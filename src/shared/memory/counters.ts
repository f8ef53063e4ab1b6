/**
 * Counters in shared memory: one row of numbers per thread, written by that thread only and read by main for metrics.
 * Each is a float64 on an 8-byte boundary, so a reader sees a whole value, if not always the newest.
 */
import { assert } from '../assert.js'
import { CLIENT_REFUSALS } from '../refusals.js'

const COMMON = [
  /** Full (mark-compact) garbage collections, and the milliseconds of all collections. */
  'gcMajor',
  'gcMs',
  /** Event-loop delay of the last second, in ms; 0 on a thread that blocks. */
  'loopDelayP50Ms',
  'loopDelayP99Ms',
  /** Share of the last second in which the thread worked, 0 to 1. */
  'loopUtilisation',
] as const

const BATCH_MAKER = [
  'connections',
  'transactions',
  'transactionBytes',
  'batchesSealedBySize',
  'batchesSealedByDelay',
  'batchesSealedByIdleness',
  /** Times that a lack of free slots paused the clients. */
  'pauses',
  ...CLIENT_REFUSALS,
] as const

const PROCESSOR = [
  'ownStored',
  'inboundStored',
  'inboundAgain',
  'inboundRefused',
  'storeBytes',
  /** Of these, what headers or certificates name, and what commits have; under a narval primary. */
  'storeNamedBytes',
  'storeCommittedBytes',
  /** The first commit whose batches are kept. */
  'storeFirstKept',
  /** 1 while our share of the store, or all of it, is full: clients are paused. */
  'storeFull',
  /** How much of our own share is used here, in thousandths; under a narval primary. */
  'storeOwnUsed',
  /** Bytes that batches which were asked for by digest may still take. */
  'storeRoomBytes',
  'commits',
  /** Sum over the batches of the ms from the start of their processing to their commit. */
  'commitMs',
  'deletedBatches',
  /** Stored batches that were found to be others than their digests name. */
  'damagedBatches',
  /** Bytes of the store's file, with the pages in it that are free. */
  'storeFileBytes',
] as const

const QUORUM_WAITER = ['acks', 'certified', 'entries'] as const

const PRIMARY = [
  /** Events that were handled. */
  'events',
  /** Signatures that were verified, and made. */
  'verified',
  'signed',
  /** The milliseconds of these. */
  'verifyMs',
  'signMs',
  /** Times that the messages of a peer had to wait, because too many of its signatures led to nothing. */
  'throttled',
  /** What `PrimaryStatus` says (src/threads/primary/primary.ts). */
  'round',
  'quorumRound',
  'seenRound',
  'gcRound',
  'decidedRound',
  'lastCommit',
  /** Commits of our last signature of a checkpoint, and of the latest that a quorum has signed. */
  'checkpointSigned',
  'checkpointAttested',
  /** Signatures of others that say something else, and those that are kept. */
  'checkpointsDiffering',
  'checkpointClaims',
  'headersWaiting',
  'certificatesWaiting',
  'certificatesKept',
  'certificatesWanted',
  'payloadWanted',
  'ownBatchesWaiting',
  'ownBatchesListed',
  'unnamedBatches',
  'adoptedBatches',
  'batchesNamed',
  'unordered',
  'headerDelayMs',
  'votesTaken',
  /** Authorities whose votes our last header waits for. */
  'missingVotes',
  /** 1 while nothing may be signed, because the store is new or an old backup. */
  'isRecovering',
  /** Of all authorities, what waits to be handled. */
  'inputsWaiting',
  /** The most that there may be of those above. */
  'headersWaitingMax',
  'certificatesWantedMax',
  'payloadWantedMax',
  /** Transactions of the store that were flushed, and their milliseconds until the end of the flush. */
  'flushes',
  'flushMs',
  /** 1 while one is on its way. */
  'isFlushing',
  /** The round above which may be signed, and 1 while the committee stands below it. */
  'signingAbove',
  'isSigningHeld',
  /** 1 while we are behind, and no peer keeps what we need next. */
  'isHistoryGone',
  /** Bytes of the store's file, with the pages in it that are free. */
  'storeFileBytes',
] as const

const GATEWAY = [
  /** Requests that were answered, and those of them that were refused: 4xx and 5xx. */
  'requests',
  'refused',
  /** Failures of our own: answers of 500. */
  'failures',
  'connections',
  /** Connections that were closed at once or later since all places were taken, and readers for the same reason. */
  'connectionsRefused',
  'streams',
  'streamsEnded',
  /** Events written to readers of the stream, and their bytes. */
  'events',
  'eventBytes',
  /** Bytes of events that sockets have not taken yet. */
  'heldBytes',
] as const

/**
 * The threads of a worker, a row for each: which kind it is (its code is `src/threads/KIND/thread.ts`), which instance of its kind,
 * whether it blocks where others have an event loop, and what it counts. A second instance is a row more.
 */
export const THREADS = {
  main: { kind: 'main', instance: 0, blocks: false, counters: [...COMMON] },
  'batch-maker': { kind: 'batch-maker', instance: 0, blocks: false, counters: [...COMMON, ...BATCH_MAKER] },
  processor: { kind: 'processor', instance: 0, blocks: false, counters: [...COMMON, ...PROCESSOR] },
  'quorum-waiter': { kind: 'quorum-waiter', instance: 0, blocks: true, counters: [...COMMON, ...QUORUM_WAITER] },
} as const

export type ThreadName = keyof typeof THREADS
export const THREAD_NAMES = Object.keys(THREADS) as readonly ThreadName[]

/** Those that a process may host: a worker's, that of a primary and that of a gateway, which have memory of their own. */
export const HOSTED_THREADS = {
  ...THREADS,
  primary: { kind: 'primary', instance: 0, blocks: false, counters: [...COMMON, ...PRIMARY] },
  gateway: { kind: 'gateway', instance: 0, blocks: false, counters: [...COMMON, ...GATEWAY] },
} as const
export type HostedThreadName = keyof typeof HOSTED_THREADS
export type CounterName<T extends HostedThreadName> = (typeof HOSTED_THREADS)[T]['counters'][number]

/** Bytes of one thread's row, a whole number of cache line pairs. */
export const COUNTERS_BYTES = 512

for (const { counters } of Object.values(HOSTED_THREADS)) assert(counters.length * 8 <= COUNTERS_BYTES)

export interface CountersRegion {
  readonly buffer: SharedArrayBuffer
  readonly byteOffset: number
}

export class Counters<T extends HostedThreadName> {
  private readonly row: Float64Array
  private readonly index: ReadonlyMap<string, number>

  constructor(region: CountersRegion, thread: T) {
    this.row = new Float64Array(region.buffer, region.byteOffset, COUNTERS_BYTES / 8)
    this.index = new Map(HOSTED_THREADS[thread].counters.map((name, index) => [name, index]))
  }

  get(name: CounterName<T>): number {
    return this.row[this.index.get(name)!]!
  }

  set(name: CounterName<T>, value: number): void {
    this.row[this.index.get(name)!] = value
  }

  add(name: CounterName<T>, value = 1): void {
    this.row[this.index.get(name)!]! += value
  }

  /** All counters of the thread, for its last words. */
  snapshot(): Record<string, number> {
    return Object.fromEntries([...this.index].map(([name, index]) => [name, this.row[index]!]))
  }
}
