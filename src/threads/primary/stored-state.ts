/** States that no store has handed over, and what the primary reads in its store while it runs. */
import type { NodePlace } from '../../shared/wire/primary/mountain-range.js'
import type { Round } from './consensus/types.js'
import type { StoredState } from './store/writes.js'

/** A store that has seen nothing yet, of an authority that has never signed anything. */
export const FRESH_STATE: StoredState = {
  certificates: [],
  votes: [],
  ownBatches: [],
  payload: [],
  evidence: [],
  signing: { state: 'above', round: 0 },
}

/** The store is new or an old backup, and the authority may have signed what it does not know of. */
export function recovering(state: StoredState = FRESH_STATE): StoredState {
  return { ...state, signing: { state: 'recovering' } }
}

/** Reads of certificates that the primary's memory has forgotten, for peers that are behind. Synchronous. */
export interface CertificateReader {
  /** The record of a certificate. */
  certificate(digest: Uint8Array): Uint8Array | undefined
  /** Records of the certificates of these rounds, both included, by ascending round; at most so many. */
  certificates(fromRound: Round, toRound: Round, countMax: number): readonly Uint8Array[]
  /** Certificates of this round and of all above it are kept. */
  readonly lowestRound: Round
}

/** The same of the log, for peers that are far behind. */
export interface LogReader {
  /** The oldest commit whose record is kept, and the last one. */
  readonly oldestCommit: number
  readonly lastCommit: number
  /** The record of a commit, in pieces; none if it is not kept. */
  commitRecord(index: number): readonly Uint8Array[]
  /** A node of the range over the records; undefined if it is not kept. */
  rangeNode(place: NodePlace): Uint8Array | undefined
}

/** The same of checkpoints. */
export interface CheckpointReader {
  /** The record of the checkpoint of this commit that a quorum has signed, if it is kept; of the latest one: 0. */
  checkpoint(index: number): Uint8Array | undefined
}
