/** What a floor is asked to do. */

/**
 * - `plain`: the bytes' whole way, over bare sockets: no libp2p, no rings, one thread.
 * - `libp2p`: only their way between the workers, over bare libp2p streams: no clients, no hash, no store.
 */
export type FloorKind = 'plain' | 'libp2p'

export type AckLevel = 'stored' | 'durable'

export interface FloorOptions {
  readonly kind: FloorKind
  /** Processes, each sending its batches to all others. */
  readonly nodes: number
  /** Transactions a second, over all clients; 0 is as fast as it goes. */
  readonly rate: number
  /** Bytes of a transaction; each travels behind a length of FRAME_PREFIX_BYTES. */
  readonly transactionBytes: number
  readonly ackLevel: AckLevel
  readonly durationS: number
  /** Bytes of batches that each store keeps; what is older is deleted. */
  readonly retainBytes: number
}

/** What a process of a floor is started with, as JSON. */
export interface NodeOptions extends FloorOptions {
  /** The directory of its store. */
  readonly store: string
}

/** The length in front of each transaction. */
export const FRAME_PREFIX_BYTES = 4
/** The product's `batch_size` and `max_batch_delay`: the same batches, so that as many bytes cross as often. */
export const BATCH_BYTES = 500_000
export const BATCH_DELAY_MS = 100
/** Batches that a peer has not acknowledged, at most: more would wait in sockets, and grow old. */
export const IN_FLIGHT_MAX = 3
/** Plaintext of one message of noise, and the tag behind it. */
export const MESSAGE_BYTES = 65_519
export const TAG_BYTES = 16
/** Seconds of batches that a floor keeps, about as many as a node of `local`: both use the same pages of their stores again. */
export const RETAIN_S = 5

/** Retained bytes of a run of `local` at this rate; at rate 0, those of 60,000 tx/s of 512 B. */
export function retainBytesFor(rate: number, transactionBytes: number): number {
  const bytesPerS = rate === 0 ? 60_000 * 512 : rate * transactionBytes
  return Math.round(RETAIN_S * bytesPerS)
}

/** A rate of transactions as bytes a second, lengths included. */
export function wireBytesPerS(options: Pick<FloorOptions, 'rate' | 'transactionBytes'>): number {
  return options.rate * (options.transactionBytes + FRAME_PREFIX_BYTES)
}

/** Authorities that have to hold a batch, each having a stake of one. */
export function quorumOf(nodes: number): number {
  return Math.floor((2 * nodes) / 3) + 1
}
