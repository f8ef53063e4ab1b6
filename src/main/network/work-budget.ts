/**
 * What a connection may cost us. Some of what a peer sends costs us more than it costs the peer: pieces that carry next
 * to nothing, each of which takes a cipher call, an event, perhaps an answer. So they are counted, in units of work
 * (limits.ts). Until its hello is over a connection has a fixed sum, and it is closed when that is spent. After the
 * hello, the connections of one authority share a rate, and are read no faster than it allows.
 *
 * All of it is a pure function of what is handed in.
 */
import { TokenBucket } from '../../shared/token-bucket.js'
import {
  PEER_WORK_BURST,
  PEER_WORK_PER_SECOND,
  STRANGER_BYTES_MAX,
  STRANGER_WORK_MAX,
  WORK_FREE_BYTES,
  WORK_OF_PING,
  WORK_OF_STREAM,
  WORK_UNWANTED_BYTES,
} from './limits.js'

/** Of yamux's specification. */
export const YAMUX_TYPES = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const YAMUX_SYN = 1

export interface YamuxHeader {
  readonly type: number
  readonly flag: number
  readonly streamID: number
  readonly length: number
}

/** Units of work of a read, a noise message or the payload of a data frame. */
export function workOfPiece(bytes: number): number {
  return bytes >= WORK_FREE_BYTES ? 0 : 1 - bytes / WORK_FREE_BYTES
}

/** Units of work of a yamux frame that came in. `isWanted`: it is for a stream that there is. */
export function workOfFrame(header: YamuxHeader, isWanted: boolean): number {
  if (header.type === YAMUX_TYPES.ping) return WORK_OF_PING
  if (header.type > YAMUX_TYPES.windowUpdate) return 1
  if ((header.flag & YAMUX_SYN) !== 0) return WORK_OF_STREAM
  if (header.type === YAMUX_TYPES.windowUpdate) return 1
  return isWanted ? workOfPiece(header.length) : 1 + header.length / WORK_UNWANTED_BYTES
}

/** What all connections of one authority may cost. */
export function peerBucket(): TokenBucket {
  return new TokenBucket(PEER_WORK_PER_SECOND, PEER_WORK_BURST)
}

/** What a connection may cost until it is somebody's whom we know. */
export interface StrangerSum {
  readonly work: number
  readonly bytes: number
}

const HELLO_SUM: StrangerSum = { work: STRANGER_WORK_MAX, bytes: STRANGER_BYTES_MAX }

export class WorkBudget {
  private workLeft: number
  private bytesLeft: number
  private bucket: TokenBucket | undefined

  constructor({ bytes, work }: StrangerSum = HELLO_SUM) {
    this.workLeft = work
    this.bytesLeft = bytes
  }

  /** The hello is over: from now on the work is the authority's. */
  verified(bucket: TokenBucket): void {
    this.bucket = bucket
  }

  get isVerified(): boolean {
    return this.bucket !== undefined
  }

  /**
   * Bytes came from the socket. They and the read are paid for.
   *
   * @returns as `spend`
   */
  receive(bytes: number, nowMs: () => number): number {
    if (this.bucket === undefined) {
      this.bytesLeft -= bytes
      if (this.bytesLeft < 0) return Number.POSITIVE_INFINITY
    }
    return this.spend(workOfPiece(bytes), nowMs)
  }

  /**
   * Pays for work that is done or about to be.
   *
   * @returns how long to do no more of it, in ms: 0 to go on, infinity if that was all
   */
  spend(work: number, nowMs: () => number): number {
    if (work === 0) return 0
    if (this.bucket !== undefined) return this.bucket.take(work, nowMs())
    this.workLeft -= work
    return this.workLeft < 0 ? Number.POSITIVE_INFINITY : 0
  }
}
