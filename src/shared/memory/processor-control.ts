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
  | { readonly type: 'cleanup'; readonly round: bigint }
  | { readonly type: 'reserve-sequences' }
  /** A walk over own batches that were not reported, at most WALK_CHUNK at a time. */
  | { readonly type: 'unreported'; readonly after: Uint8Array | undefined }
  /** A walk over the batches of the last `rounds` stamps, at most WALK_CHUNK at a time. */
  | { readonly type: 'recent'; readonly rounds: bigint; readonly after: Uint8Array | undefined }

export interface ProcessorAnswers {
  get: { readonly author: Uint8Array; readonly bytes: Uint8Array<ArrayBuffer> } | undefined
  /** Of each digest asked for, its author, or undefined. */
  find: readonly (Uint8Array | undefined)[]
  reported: undefined
  cleanup: { readonly deleted: number }
  'reserve-sequences': { readonly start: bigint; readonly end: bigint }
  unreported: readonly Uint8Array[]
  recent: {
    readonly found: readonly { readonly digest: Uint8Array; readonly author: Uint8Array }[]
    readonly next: Uint8Array | undefined
  }
}

export interface ProcessorCall {
  readonly id: number
  readonly request: ProcessorRequest
}

export interface ProcessorReply {
  readonly id: number
  readonly answer: ProcessorAnswers[keyof ProcessorAnswers]
}
