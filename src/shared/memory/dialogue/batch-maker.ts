/**
 * Main and the batch-maker: what the thread is started with, and what the two say to each other over their rings.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Layout } from '../layout.js'
import type { Codec } from '../ring.js'
import { COUNT, KIND, LENGTH, PAYLOAD, SEQUENCE, SLOT, unknownKind } from './descriptor.js'

export interface BatchMakerOptions {
  readonly workerId: number
  readonly batchBytesMax: number
  readonly maxBatchDelayMs: number
}

export interface ClientListenerOptions {
  readonly host: string
  readonly port: number
  readonly connectionsMax: number
  /** After this long without a byte, a client in the middle of a frame is closed. A client between frames may rest. */
  readonly idleTimeoutMs: number
  /** CLIENT_SOCKETS_CLOSING_MAX unless given. */
  readonly socketsClosingMax?: number
}

export interface BatchMakerTask {
  readonly layout: Layout
  readonly port: MessagePort
  readonly batchMaker: BatchMakerOptions
  /** Undefined if clients are not to connect: `submit()` is the only way in then. */
  readonly listener: ClientListenerOptions | undefined
}

/** batch-maker → main. One `sealed` per own slot; `range-low` at most once until a `range` answers it. */
export type BatchMakerToMain =
  | {
      readonly kind: 'sealed'
      readonly slot: number
      readonly sequence: bigint
      /** Bytes of the encoded batch. */
      readonly byteLength: number
      readonly transactions: number
      /** Bytes of the transactions without their lengths. */
      readonly transactionBytes: number
    }
  | { readonly kind: 'range-low' }

/** main → batch-maker. */
export type MainToBatchMaker =
  /** A free slot: the credit to seal one batch. */
  | { readonly kind: 'slot'; readonly slot: number }
  /** All batches up to this sequence are certified: what is sealed next waits for nobody. At most one for each `sealed`. */
  | { readonly kind: 'all-certified'; readonly through: bigint }
  /** Sequences that were reserved durably: `start` to `end`, the end excluded. */
  | { readonly kind: 'range'; readonly start: bigint; readonly end: bigint }
  /** Take no more transactions, seal what there is, and return. */
  | { readonly kind: 'close' }

export const batchMakerToMain: Codec<BatchMakerToMain> = {
  write(view, at, message) {
    if (message.kind === 'range-low') {
      view.setUint8(at + KIND, 2)
      return
    }
    view.setUint8(at + KIND, 1)
    view.setUint32(at + SLOT, message.slot, true)
    view.setBigUint64(at + SEQUENCE, message.sequence, true)
    view.setUint32(at + LENGTH, message.byteLength, true)
    view.setUint32(at + COUNT, message.transactions, true)
    view.setUint32(at + PAYLOAD, message.transactionBytes, true)
  },
  read(view, at) {
    const kind = view.getUint8(at + KIND)
    if (kind === 2) return { kind: 'range-low' }
    if (kind !== 1) return unknownKind(kind)
    return {
      kind: 'sealed',
      slot: view.getUint32(at + SLOT, true),
      sequence: view.getBigUint64(at + SEQUENCE, true),
      byteLength: view.getUint32(at + LENGTH, true),
      transactions: view.getUint32(at + COUNT, true),
      transactionBytes: view.getUint32(at + PAYLOAD, true),
    }
  },
}

export const mainToBatchMaker: Codec<MainToBatchMaker> = {
  write(view, at, message) {
    switch (message.kind) {
      case 'slot':
        view.setUint8(at + KIND, 1)
        view.setUint32(at + SLOT, message.slot, true)
        return
      case 'range':
        view.setUint8(at + KIND, 2)
        view.setBigUint64(at + SEQUENCE, message.start, true)
        view.setBigUint64(at + LENGTH, message.end, true)
        return
      case 'close':
        view.setUint8(at + KIND, 3)
        return
      case 'all-certified':
        view.setUint8(at + KIND, 4)
        view.setBigUint64(at + SEQUENCE, message.through, true)
    }
  },
  read(view, at) {
    const kind = view.getUint8(at + KIND)
    switch (kind) {
      case 1:
        return { kind: 'slot', slot: view.getUint32(at + SLOT, true) }
      case 2:
        return {
          kind: 'range',
          start: view.getBigUint64(at + SEQUENCE, true),
          end: view.getBigUint64(at + LENGTH, true),
        }
      case 3:
        return { kind: 'close' }
      case 4:
        return { kind: 'all-certified', through: view.getBigUint64(at + SEQUENCE, true) }
      default:
        return unknownKind(kind)
    }
  },
}
