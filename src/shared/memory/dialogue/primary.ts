/**
 * Main and the primary's thread: what the thread is started with, and what the two say to each other.
 *
 * They speak over a message port. Rings would save a copy of a few kilobytes a round; the port takes messages of any size,
 * needs no layout for a commit, and costs some 35 µs of both threads for each post. Each side posts at most once in a turn
 * of its event loop, all that it has to say together, so that is a few posts a round.
 */
import type { MessagePort } from 'node:worker_threads'
import type { AuthorityRefusal } from '../../refusals.js'
import type { EvidenceKind } from '../../wire/primary/evidence.js'
import type { BatchEntry } from '../../wire/primary/header.js'
import type { PrimaryMemory } from '../primary-memory.js'

export interface PrimaryThreadOptions {
  /** Our own index. */
  readonly authority: number
  /** 32 bytes. */
  readonly committeeDigest: Uint8Array
  /** By authority index, as are `publicKeys` and `workers`: the ids of each authority's workers. */
  readonly stakes: readonly number[]
  readonly publicKeys: readonly Uint8Array[]
  readonly workers: readonly (readonly number[])[]
  readonly rule: 'shoal' | 'tusk' | 'bullshark'
  readonly gcDepth: number
  readonly maxHeaderDelayMs: number
}

export interface PrimaryStoreTask {
  readonly directory: string
  /** The store may be older than what this authority has signed since. */
  readonly isRecovered?: boolean
  /** Commits, and bytes of them, that the log keeps. */
  readonly retentionCommits?: number
  readonly retentionBytes?: number
}

export interface PrimaryTask {
  readonly memory: PrimaryMemory
  /** Reports to main. */
  readonly port: MessagePort
  /** `MainToPrimary` one way and `PrimaryToMain` the other; its closing ends the thread. */
  readonly events: MessagePort
  readonly primary: PrimaryThreadOptions
  /** The seed of our authority's key. */
  readonly seed: Uint8Array
  readonly store: PrimaryStoreTask
}

/** Something that happened; in the order in which it did. */
export type PrimaryInput =
  /** A record of another authority's primary: one of its credits (PRIMARY_INBOUND_MESSAGES_MAX). */
  | { readonly type: 'message'; readonly from: number; readonly bytes: Uint8Array }
  | { readonly type: 'peer-connected' | 'peer-disconnected'; readonly peer: number }
  /** Which store a worker of ours has, 16 bytes; before any batch that it tells of. */
  | { readonly type: 'worker-store'; readonly worker: number; readonly storeId: Uint8Array }
  /** Our own worker has a batch: it is counted in `batchesStored` when the primary's store has it. */
  | { readonly type: 'own-batch'; readonly batch: BatchEntry }
  /** The same; `isDelivered` if its author's worker itself handed it over. */
  | { readonly type: 'others-batch'; readonly batch: BatchEntry; readonly isDelivered?: boolean }

/** main → primary, one post for a turn of main's event loop. */
export type MainToPrimary = readonly PrimaryInput[]

/** primary → main, one post for a turn of the thread's event loop. */
export interface PrimaryToMain {
  readonly sends: readonly PrimarySend[]
  readonly requests: readonly PrimaryWorkerRequest[]
  /** So many more of the batches that our workers said, in their order, are on the primary's disk. */
  readonly batchesStored: number
  /** What was taken of each peer's messages: its credits come back. */
  readonly taken: readonly { readonly from: number; readonly messages: number; readonly bytes: number }[]
  readonly refusals: readonly PrimaryRefusals[]
  readonly notices: readonly PrimaryNotice[]
}

export interface PrimarySend {
  readonly to: number | 'all'
  readonly bytes: Uint8Array
}

/** To our own workers. */
export type PrimaryWorkerRequest =
  | {
      readonly type: 'synchronize'
      readonly worker: number
      readonly author: number
      readonly digests: readonly Uint8Array[]
    }
  /** The answer to `worker-store`: the highest sequence of this worker's batches that the primary knows of, 0 for none. */
  | { readonly type: 'sequences-after'; readonly worker: number; readonly sequence: bigint }
  /** A batch that this worker told of is in the order already, on the disk. */
  | { readonly type: 'ordered'; readonly worker: number; readonly digest: Uint8Array }
  /** These batches are named, and not ordered; with `isAnew`, no others of this worker (NamedBatches). */
  | {
      readonly type: 'named'
      readonly worker: number
      readonly digests: readonly Uint8Array[]
      readonly isAnew: boolean
    }
  /** They were, and nothing that names them can be ordered any more. */
  | { readonly type: 'unnamed'; readonly worker: number; readonly digests: readonly Uint8Array[] }
  /** These commits are in the log, on the disk. */
  | { readonly type: 'committed'; readonly commits: readonly CommittedBatches[] }

export interface CommittedBatches {
  readonly index: number
  /** Unix ms. */
  readonly timestamp: number
  /** Certificates that are in the order since. */
  readonly certificates: number
  /** In order. */
  readonly batches: readonly CommittedBatch[]
}

export interface CommittedBatch {
  readonly digest: Uint8Array
  /** The authority whose worker made it. */
  readonly author: number
  readonly worker: number
  /** Of the header that lists it, and the author of that. */
  readonly round: number
  readonly proposer: number
}

/** Refusals of one kind. */
export interface PrimaryRefusals {
  readonly from: number
  readonly reason: AuthorityRefusal
  readonly count: number
  /** Of the first of them: what was expected and what came. */
  readonly detail: string
}

/** What happened, for metrics, health and the log lines of a benchmark. */
export type PrimaryNotice =
  | { readonly type: 'header-created'; readonly round: number; readonly batches: readonly BatchEntry[] }
  | { readonly type: 'header-given-up'; readonly round: number; readonly batches: number }
  | { readonly type: 'voted'; readonly author: number; readonly round: number }
  | { readonly type: 'certified'; readonly author: number; readonly round: number }
  /** Headers of ours with it get no quorum of votes, those without it do: it is proposed alone, now and then. */
  | { readonly type: 'batch-unobtainable'; readonly batch: BatchEntry }
  | { readonly type: 'proposed-again'; readonly batches: number }
  /** Our header claims these batches of others, which no header of theirs brings into the order. */
  | { readonly type: 'adopted'; readonly round: number; readonly batches: readonly BatchEntry[] }
  /** Nothing is signed: others with so much stake have said how far we were, and a quorum has to. At the start, and with each. */
  | { readonly type: 'recovering'; readonly stake: number; readonly quorum: number }
  /** They have: we may sign above this round. */
  | { readonly type: 'recovered'; readonly round: number }
  /** A worker of ours has another store than before: so many batches that it had held are not there any more. */
  | { readonly type: 'worker-store-new'; readonly worker: number; readonly batches: number }
  /** We may sign above a round only, and the committee stands at a lower one. Again and again while that lasts. */
  | { readonly type: 'signing-held'; readonly above: number; readonly round: number }
  /** We were far behind, have the log up to this commit from others, and go on there. */
  | { readonly type: 'log-taken'; readonly commit: number }
  /** We are behind, and no peer keeps the round after this one any more: they have certificates from `lowest` on. */
  | { readonly type: 'history-gone'; readonly round: number; readonly lowest: number }
  /** What convicts an authority was found, and is being written down. */
  | { readonly type: 'evidence'; readonly accused: number; readonly kind: EvidenceKind; readonly round: number }
  /** So much evidence of one kind is kept against an authority: at the start, and whenever it grows. */
  | { readonly type: 'evidence-kept'; readonly accused: number; readonly kind: EvidenceKind; readonly count: number }
  /** An authority has signed a checkpoint of this commit that says something else than ours, or than another of its own. */
  | { readonly type: 'checkpoint-differs'; readonly author: number; readonly index: number }
  /** Whom we wait for, whenever that has changed since it was said last; looked at now and then. */
  | ({ readonly type: 'waits' } & PrimaryWaits)

/** Indices of the authorities that the primary waits for. */
export interface PrimaryWaits {
  /** Their votes for our last header: for as long as it has no certificate. */
  readonly votes: readonly number[]
  /** Their certificates of the lowest round that has no quorum of them yet. */
  readonly certificates: readonly number[]
  /** How far they saw us, while our store is new or an old backup. */
  readonly answers: readonly number[]
}
