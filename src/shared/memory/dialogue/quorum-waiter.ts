/**
 * Main and the quorum-waiter: what the thread is started with, and what the two say to each other over their rings.
 */
import type { Moment } from '../../freshness.js'
import type { AckLevelCode } from '../../wire/ack.js'
import type { Layout } from '../layout.js'
import type { Codec } from '../ring.js'
import {
  COUNT,
  DIGEST,
  KIND,
  LENGTH,
  LEVEL,
  PAYLOAD,
  PEER,
  readBytes,
  SEQUENCE,
  unknownKind,
  writeBytes,
} from './descriptor.js'

export interface QuorumTallyOptions {
  /** Stake of each authority, by its index in the committee. */
  readonly stakes: readonly number[]
  readonly ownIndex: number
  /** Stake that certifies: `2 · total / 3 + 1`, in integers. */
  readonly quorumThreshold: number
  /** Most entries at once: as many as there are own slots. */
  readonly entriesMax: number
  /** The least level that counts, for peers and for our own copy. */
  readonly requiredLevel: AckLevelCode
  /** Cleanup rounds for which an ACK counts: half of the retention. */
  readonly freshRounds: number
}

export interface QuorumWaiterTask {
  readonly layout: Layout
  readonly tally: QuorumTallyOptions
}

/** main → quorum-waiter. */
export type MainToQuorumWaiter =
  /** A batch of ours is about to be sent to the peers of the mask (one bit per authority index). */
  | { readonly kind: 'tracked'; readonly sequence: bigint; readonly peers: Uint8Array }
  | { readonly kind: 'own-stored'; readonly sequence: bigint; readonly digest: Uint8Array; readonly at: Moment }
  | {
      readonly kind: 'ack'
      readonly peer: number
      readonly sequence: bigint
      readonly digest: Uint8Array
      /** As received: 1 stored, 2 durable. */
      readonly level: number
      /** As received: 0 ok, 1 invalid, 2 quota, 3 store full. */
      readonly status: number
      readonly at: Moment
    }
  /** A batch that the peer had refused, or acknowledged too long ago, is going to be handed to it again. */
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
  /** `since` is the moment of the oldest ACK that counts. */
  | { readonly kind: 'certified'; readonly sequence: bigint; readonly since: Moment }
  /**
   * A quorum has acknowledged the batch, but these peers so long ago that they may have deleted their copies: their ACKs
   * count no more.
   */
  | { readonly kind: 'expired'; readonly sequence: bigint; readonly peers: Uint8Array }
  | { readonly kind: 'verdict'; readonly peer: number; readonly sequence: bigint; readonly verdict: AckVerdict }
  /** An ACK that was held turned out to name another digest than ours. */
  | { readonly kind: 'held-wrong'; readonly peer: number; readonly sequence: bigint }
  | { readonly kind: 'released'; readonly sequence: bigint }

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
        writeMoment(view, at, message.at)
        return
      case 'ack':
        view.setUint8(at + KIND, 3)
        writeMoment(view, at, message.at)
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
        return { kind: 'own-stored', sequence, digest: readBytes(view, at + DIGEST), at: readMoment(view, at) }
      case 3:
        return {
          kind: 'ack',
          sequence,
          peer: view.getUint16(at + PEER, true),
          level: view.getUint8(at + LEVEL),
          status: view.getUint32(at + COUNT, true),
          digest: readBytes(view, at + DIGEST),
          at: readMoment(view, at),
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
        writeMoment(view, at, message.since)
        return
      case 'expired':
        view.setUint8(at + KIND, 5)
        writeBytes(view, at + DIGEST, message.peers)
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
        return { kind: 'certified', sequence, since: readMoment(view, at) }
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
      case 5:
        return { kind: 'expired', sequence, peers: readBytes(view, at + DIGEST) }
      default:
        return unknownKind(kind)
    }
  },
}

/** A moment is an f64 where payload and author stand, and a u32 where the length does. */
function writeMoment(view: DataView, at: number, { rounds, awayMs }: Moment): void {
  view.setFloat64(at + PAYLOAD, rounds, true)
  view.setUint32(at + LENGTH, awayMs, true)
}

function readMoment(view: DataView, at: number): Moment {
  return { rounds: view.getFloat64(at + PAYLOAD, true), awayMs: view.getUint32(at + LENGTH, true) }
}
