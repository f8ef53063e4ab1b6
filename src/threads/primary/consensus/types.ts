/**
 * What the rules of consensus see of a header, a certificate and a commit. A wire format may carry more; nothing here
 * depends on how it encodes, signs or hashes.
 */
import type { CommittedState } from './state-digest.js'

/** The place of an authority in the order of the raw public keys, from 0. */
export type AuthorityIndex = number

/** From 1. The certificates of genesis are of round 0 and are never handed in: they are known by their digests. */
export type Round = number

/**
 * A digest as a string of one character for each byte (`digestKey`). Strings compare as the bytes do, which the rule
 * `tusk` needs.
 */
export type Digest = string

/** One batch that a header lists. */
export interface PayloadEntry {
  readonly digest: Digest
  /** The authority whose worker made the batch. It may be another than the author of the header. */
  readonly author: AuthorityIndex
  readonly worker: number
  /** The batch's sequence. The reference's headers do not say it: such a batch is never taken for a repeat. */
  readonly sequence?: bigint
}

export interface Header {
  readonly author: AuthorityIndex
  readonly round: Round
  /** Names the header: another header of the same author and round has another. */
  readonly id: Digest
  /** Digests of certificates of the round before, each once, of a quorum of the stake. */
  readonly parents: readonly Digest[]
  /** When its author made it, in unix ms. 0 in the dialect of the reference, which has no such field. */
  readonly createdAt: number
  readonly payload: readonly PayloadEntry[]
}

export interface Certificate {
  /** What other headers name it by. It must follow from the header alone, not from who voted. */
  readonly digest: Digest
  readonly header: Header
}

/** A certificate in the DAG. */
export interface Vertex {
  readonly round: Round
  readonly author: AuthorityIndex
  readonly digest: Digest
  /** Those of the round before that it links. Empty just above garbage collection, where nobody asks any more. */
  readonly parents: AuthoritySet
  readonly certificate: Certificate
}

/** A set of authorities: bit i is the authority with index i. */
export type AuthoritySet = bigint

/** What one anchor adds to the order. */
export interface SubDag {
  readonly anchor: Vertex
  /** In the order that all authorities share. The anchor is the last. */
  readonly vertices: readonly Vertex[]
}

export interface Commit extends SubDag {
  /** Dense, from 1. */
  readonly index: number
  /** Never less than that of the commit before, in unix ms. */
  readonly timestamp: number
  /** The batches of these vertices, in order, without those that an earlier place in the order has. */
  readonly batches: readonly PayloadEntry[]
  /** How the committed sequences are others than before this commit: each changed run once. */
  readonly runChanges: readonly RunChange[]
  /** Of each CHECKPOINT_INTERVAL-th commit: the digest of the state after it (`state-digest.ts`), and what it is made of. */
  readonly stateDigest?: Uint8Array
  readonly state?: CommittedState
}

/** A run of committed sequences of one worker that is new, longer, or gone in another one. */
export interface RunChange {
  readonly author: AuthorityIndex
  readonly worker: number
  readonly first: bigint
  /** Undefined if no run begins at `first` any more. */
  readonly last: bigint | undefined
}
