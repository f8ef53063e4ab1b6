/** What is known of a transaction on its way: stages, places and receipts. Pure, and nothing here needs Node. */

/** In their order: who has reached one has reached those before. */
export const STAGES = ['queued', 'stored', 'certified', 'ordered', 'attested', 'applied'] as const
export type Stage = (typeof STAGES)[number]

/** Where a transaction is in the order. */
export interface Place {
  readonly commit: number
  /** Of the batch, in its commit, from 0. */
  readonly position: number
  /** Of the transaction, in its batch, from 0. */
  readonly index: number
}

export interface Receipt {
  /** SHA-256 of the transaction's bytes. */
  readonly id: Uint8Array
  readonly stage: Stage
  /** The digest of its batch, from `stored` on. */
  readonly batch?: Uint8Array
  /** From `ordered` on: the first place of these bytes in the order. */
  readonly place?: Place
  /** Of the commit, unix ms. */
  readonly timestamp?: number
  /** This submission's bytes were ordered earlier than where this submission went. */
  readonly duplicate?: boolean
  /** The index of the first attested checkpoint at or behind the commit. */
  readonly checkpoint?: number
}
