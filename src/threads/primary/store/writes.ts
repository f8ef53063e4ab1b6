/**
 * What a turn of the primary has the store keep. All writes of a turn are durable together or not at all; turns may share
 * a transaction, and keep their order.
 */
import type { EvidenceKey } from '../../../shared/store/primary/format.js'
import type { Evidence } from '../../../shared/wire/primary/evidence.js'
import type { BatchEntry } from '../../../shared/wire/primary/header.js'
import type { LogEnd, LogRecord } from '../commit-log/record-chain.js'
import type { CommittedBatchesState } from '../consensus/committed-batches.js'
import type { ConsensusPosition } from '../consensus/consensus-state.js'
import type { AuthorityIndex, Round } from '../consensus/types.js'
import type { FetchedRecord } from '../history/fetched-log.js'

export type Write =
  /** Our header of this round: all that we propose there, for ever. */
  | { readonly type: 'own-header'; readonly round: Round; readonly bytes: Uint8Array }
  /** Our last vote for a header of this author. The one before is not asked for any more. */
  | { readonly type: 'vote'; readonly author: AuthorityIndex; readonly bytes: Uint8Array }
  | {
      readonly type: 'certificate'
      readonly round: Round
      readonly author: AuthorityIndex
      /** 32 bytes. */
      readonly digest: Uint8Array
      readonly bytes: Uint8Array
    }
  /** Our own worker has this batch of another authority; or it is asked for no more. */
  | { readonly type: 'payload' | 'payload-done'; readonly batch: BatchEntry }
  /** The store that this worker of ours has. */
  | { readonly type: 'worker-store'; readonly worker: number; readonly storeId: Uint8Array }
  /** A batch of ours is to be ordered; or it is in the order. */
  | { readonly type: 'own-batch' | 'own-batch-done'; readonly batch: BatchEntry }
  /** The next commits, in order, each with its record, and where consensus stands after the last of them. */
  | { readonly type: 'commits'; readonly records: readonly LogRecord[]; readonly state: ConsensusPosition }
  /** The next records of the log, which others have ordered; consensus does not stand there until `joined`. */
  | { readonly type: 'fetched'; readonly records: readonly FetchedRecord[] }
  /** Consensus stands at the end of the log. */
  | { readonly type: 'joined'; readonly state: ConsensusPosition }
  /** Our signature of a checkpoint, as a record. The one before is not asked for any more. */
  | { readonly type: 'checkpoint-signed'; readonly bytes: Uint8Array }
  /** The checkpoint of this commit, as a record with the signatures of a quorum; later than all before. */
  | { readonly type: 'checkpoint-attested'; readonly index: number; readonly bytes: Uint8Array }
  /** What convicts an authority, verified. */
  | { readonly type: 'evidence'; readonly evidence: Evidence }
  | { readonly type: 'signing'; readonly signing: Signing }
  /** Consensus has forgotten the rounds up to this one. Certificates below it are kept for peers that are behind. */
  | { readonly type: 'collected'; readonly gcRound: Round }
  /** Our workers have all batches of certificates of the rounds up to this one: after a restart they are not asked for. */
  | { readonly type: 'payload-complete'; readonly round: Round }

/** What we may sign. Nothing at all while the store is new or an old backup and the peers have not said how far we were. */
export type Signing = { readonly state: 'recovering' } | { readonly state: 'above'; readonly round: Round }

/** What the store hands to the primary at a restart. */
export interface StoredState {
  /** The state of the last `commits`; absent before the first. Consensus checks it. */
  readonly consensus?: unknown
  /**
   * Given where the log has more commits than `consensus`, since others have ordered them: the committed sequences at its
   * end.
   */
  readonly unfinished?: CommittedBatchesState
  /** Where the log ends; it is empty unless given. */
  readonly log?: LogEnd
  /** The record of our last signature of a checkpoint. */
  readonly checkpointSigned?: Uint8Array
  /** The record of the latest checkpoint that a quorum has signed. */
  readonly checkpointAttested?: Uint8Array
  /** Records of the certificates of rounds from the last `collected` on, that round included, by ascending round. */
  readonly certificates: readonly Uint8Array[]
  /** The record of our last header. */
  readonly ownHeader?: Uint8Array
  /** Records of our last vote for each author. */
  readonly votes: readonly Uint8Array[]
  /** Batches of ours that are not in the order yet, oldest first. */
  readonly ownBatches: readonly BatchEntry[]
  /** Batches of others that our workers have. */
  readonly payload: readonly BatchEntry[]
  /** The round of the last `payload-complete`, if there was one. */
  readonly payloadRound?: Round
  /** The last stores of our workers that we know of; none unless given. */
  readonly workerStores?: readonly { readonly worker: number; readonly storeId: Uint8Array }[]
  /** Which evidence is kept. */
  readonly evidence: readonly EvidenceKey[]
  readonly signing: Signing
}
