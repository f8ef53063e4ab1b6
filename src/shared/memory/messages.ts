/**
 * What the threads say to each other: a discriminated union per direction, and its layout in a ring's descriptor.
 *
 * ```
 *  0      1       2      4      8          16       20       24         28       32                64
 *  ├ kind ┼ level ┼ peer ┼ slot ┼ sequence ┼ length ┼ count  ┼ payload  ┼ author ┼ digest or mask ─┤
 *    u8     u8      u16    u32    u64        u32      u32      u32        u32      32 bytes
 * ```
 *
 * A field that a kind does not name is not read. Integers are little-endian.
 */
import { DIGEST_BYTES } from '../constants.js'
import type { Codec } from './ring.js'

const KIND = 0
const LEVEL = 1
const PEER = 2
const SLOT = 4
const SEQUENCE = 8
const LENGTH = 16
const COUNT = 20
const PAYLOAD = 24
const AUTHOR = 28
const DIGEST = 32

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
  /** Sequences that were reserved durably: `start` to `end`, the end excluded. */
  | { readonly kind: 'range'; readonly start: bigint; readonly end: bigint }
  /** Take no more transactions, seal what there is, and return. */
  | { readonly kind: 'close' }

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
      readonly sequence: bigint
      readonly digest: Uint8Array
    }
  | {
      readonly kind: 'inbound-done'
      readonly slot: number
      readonly peer: number
      readonly author: number
      readonly sequence: bigint
      readonly digest: Uint8Array
      readonly status: InboundStatus
      /** It was stored before; it is acknowledged and reported again. */
      readonly again: boolean
      readonly transactions: number
      readonly byteLength: number
    }

/** main → quorum-waiter. */
export type MainToQuorumWaiter =
  /** A batch of ours is about to be sent to the peers of the mask (one bit per authority index). */
  | { readonly kind: 'tracked'; readonly sequence: bigint; readonly peers: Uint8Array }
  | { readonly kind: 'own-stored'; readonly sequence: bigint; readonly digest: Uint8Array }
  | {
      readonly kind: 'ack'
      readonly peer: number
      readonly sequence: bigint
      readonly digest: Uint8Array
      /** As received: 1 stored, 2 durable. */
      readonly level: number
      /** As received: 0 ok, 1 invalid, 2 quota, 3 store full. */
      readonly status: number
    }
  /** A batch that the peer had refused is handed to it again, on a new connection. */
  | { readonly kind: 'resent'; readonly peer: number; readonly sequence: bigint }
  /** Nobody needs the batch any more: forget it, and say `released`. */
  | { readonly kind: 'release'; readonly sequence: bigint }
  | { readonly kind: 'close' }

/** What became of an ACK; its place in the list is its code in a descriptor. */
export const ACK_VERDICTS = [
  'counted',
  'held',
  'late',
  'unknown-sequence',
  'not-sent',
  'duplicate',
  'wrong-digest',
  'level-too-low',
  'refused-invalid',
  'refused-quota',
  'refused-store-full',
  'malformed',
] as const
export type AckVerdict = (typeof ACK_VERDICTS)[number]

/** quorum-waiter → main. One `verdict` for each `ack`, one `released` for each `release`. */
export type QuorumWaiterToMain =
  | { readonly kind: 'certified'; readonly sequence: bigint }
  | { readonly kind: 'verdict'; readonly peer: number; readonly sequence: bigint; readonly verdict: AckVerdict }
  /** An ACK that was held turned out to name another digest than ours. */
  | { readonly kind: 'held-wrong'; readonly peer: number; readonly sequence: bigint }
  | { readonly kind: 'released'; readonly sequence: bigint }

function writeBytes(view: DataView, offset: number, bytes: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset + offset, DIGEST_BYTES).set(bytes)
}

function readBytes(view: DataView, offset: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, DIGEST_BYTES).slice()
}

function unknownKind(kind: number): never {
  throw new Error(`a descriptor of an unknown kind, ${kind}: the threads were built from different sources`)
}

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
      default:
        return unknownKind(kind)
    }
  },
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
    writeBytes(view, at + DIGEST, message.digest)
    if (message.kind === 'own-stored') return
    view.setUint8(at + LEVEL, INBOUND_STATUSES.indexOf(message.status) | (message.again ? AGAIN : 0))
    view.setUint16(at + PEER, message.peer, true)
    view.setUint32(at + LENGTH, message.byteLength, true)
    view.setUint32(at + COUNT, message.transactions, true)
    view.setUint32(at + AUTHOR, message.author, true)
  },
  read(view, at) {
    const kind = view.getUint8(at + KIND)
    const slot = view.getUint32(at + SLOT, true)
    const sequence = view.getBigUint64(at + SEQUENCE, true)
    const digest = readBytes(view, at + DIGEST)
    if (kind === 1) return { kind: 'own-stored', slot, sequence, digest }
    if (kind !== 2) return unknownKind(kind)
    const level = view.getUint8(at + LEVEL)
    return {
      kind: 'inbound-done',
      slot,
      sequence,
      digest,
      peer: view.getUint16(at + PEER, true),
      author: view.getUint32(at + AUTHOR, true),
      status: INBOUND_STATUSES[level & ~AGAIN] ?? unknownKind(level),
      again: (level & AGAIN) !== 0,
      transactions: view.getUint32(at + COUNT, true),
      byteLength: view.getUint32(at + LENGTH, true),
    }
  },
}

export const mainToQuorumWaiter: Codec<MainToQuorumWaiter> = {
  write(view, at, message) {
    if (message.kind === 'close') {
      view.setUint8(at + KIND, 5)
      return
    }
    view.setBigUint64(at + SEQUENCE, message.sequence, true)
    switch (message.kind) {
      case 'tracked':
        view.setUint8(at + KIND, 1)
        writeBytes(view, at + DIGEST, message.peers)
        return
      case 'own-stored':
        view.setUint8(at + KIND, 2)
        writeBytes(view, at + DIGEST, message.digest)
        return
      case 'ack':
        view.setUint8(at + KIND, 3)
        view.setUint8(at + LEVEL, message.level)
        view.setUint16(at + PEER, message.peer, true)
        view.setUint32(at + COUNT, message.status, true)
        writeBytes(view, at + DIGEST, message.digest)
        return
      case 'release':
        view.setUint8(at + KIND, 4)
        return
      case 'resent':
        view.setUint8(at + KIND, 6)
        view.setUint16(at + PEER, message.peer, true)
    }
  },
  read(view, at) {
    const kind = view.getUint8(at + KIND)
    const sequence = view.getBigUint64(at + SEQUENCE, true)
    switch (kind) {
      case 1:
        return { kind: 'tracked', sequence, peers: readBytes(view, at + DIGEST) }
      case 2:
        return { kind: 'own-stored', sequence, digest: readBytes(view, at + DIGEST) }
      case 3:
        return {
          kind: 'ack',
          sequence,
          peer: view.getUint16(at + PEER, true),
          level: view.getUint8(at + LEVEL),
          status: view.getUint32(at + COUNT, true),
          digest: readBytes(view, at + DIGEST),
        }
      case 4:
        return { kind: 'release', sequence }
      case 5:
        return { kind: 'close' }
      case 6:
        return { kind: 'resent', sequence, peer: view.getUint16(at + PEER, true) }
      default:
        return unknownKind(kind)
    }
  },
}

export const quorumWaiterToMain: Codec<QuorumWaiterToMain> = {
  write(view, at, message) {
    view.setBigUint64(at + SEQUENCE, message.sequence, true)
    switch (message.kind) {
      case 'certified':
        view.setUint8(at + KIND, 1)
        return
      case 'verdict':
        view.setUint8(at + KIND, 2)
        view.setUint8(at + LEVEL, ACK_VERDICTS.indexOf(message.verdict))
        view.setUint16(at + PEER, message.peer, true)
        return
      case 'released':
        view.setUint8(at + KIND, 3)
        return
      case 'held-wrong':
        view.setUint8(at + KIND, 4)
        view.setUint16(at + PEER, message.peer, true)
    }
  },
  read(view, at) {
    const kind = view.getUint8(at + KIND)
    const sequence = view.getBigUint64(at + SEQUENCE, true)
    switch (kind) {
      case 1:
        return { kind: 'certified', sequence }
      case 2: {
        const level = view.getUint8(at + LEVEL)
        return {
          kind: 'verdict',
          sequence,
          peer: view.getUint16(at + PEER, true),
          verdict: ACK_VERDICTS[level] ?? unknownKind(level),
        }
      }
      case 3:
        return { kind: 'released', sequence }
      case 4:
        return { kind: 'held-wrong', sequence, peer: view.getUint16(at + PEER, true) }
      default:
        return unknownKind(kind)
    }
  },
}
