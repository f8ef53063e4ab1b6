/**
 * What an authority that is far behind asks for instead of certificates: the commits themselves, by checkpoint intervals, with
 * the state of consensus after the last of them. Integers are little-endian.
 *
 * ```
 *  0     1     2        8            16        24        32         40
 *  ├ 1 ──┼ 12 ─┼ zeros ─┼ checkpoint ┼ first ──┼ count ──┼ offset ──┤            a request; all zeros: the latest state
 *
 *  0     1     2      3      4       8            16        24         32
 *  ├ 1 ──┼ 13 ─┼ what ┼ zero ┼ total ┼ checkpoint ┼ first ──┼ offset ──┼ bytes ──┤   a piece of a state or of an interval
 *                u8            u32     u64          u64       u64        1 to HISTORY_PIECE_BYTES_MAX
 *
 *  0     1     2        8            16        24        32
 *  ├ 1 ──┼ 14 ─┼ zeros ─┼ checkpoint ┼ first ──┼ oldest ─┤                       the end of an answer
 * ```
 *
 * `checkpoint` is the commit up to which a quorum has signed the log; what is sent is proven under the root that it signed.
 * `first` is the first commit of an interval of CHECKPOINT_INTERVAL commits, `count` how many intervals are asked for, and
 * `offset` from where on the first of them, where it was broken off. `what` is 1 for a state, whose `first` is 0, and 2 for an
 * interval. In the end of an answer `checkpoint` is 0 if the answerer cannot prove anything under the one of the request, or
 * has no state; `oldest` is the oldest commit that it keeps.
 */
import { assert } from '../../assert.js'
import {
  CHECKPOINT_INTERVAL,
  HISTORY_INTERVAL_BYTES_MAX,
  HISTORY_INTERVALS_MAX,
  HISTORY_PIECE_BYTES_MAX,
  HISTORY_PIECE_HEAD_BYTES,
  HISTORY_STATE_BYTES_MAX,
} from './limits.js'
import * as record from './record.js'

const REQUEST_BYTES = 40
const END_BYTES = 32
const NUMBER_AT = 8
const KINDS = { state: 1, interval: 2 } as const
const BYTES_MAX = { state: HISTORY_STATE_BYTES_MAX, interval: HISTORY_INTERVAL_BYTES_MAX } as const

export type HistoryKind = keyof typeof KINDS

export interface HistoryRequest {
  readonly checkpoint: number
  readonly first: number
  readonly count: number
  readonly offset: number
}

export interface HistoryPiece {
  readonly what: HistoryKind
  /** Bytes of the whole. */
  readonly total: number
  readonly checkpoint: number
  readonly first: number
  readonly offset: number
  readonly bytes: Uint8Array
}

export interface HistoryEnd {
  readonly checkpoint: number
  /** That of the request. */
  readonly first: number
  readonly oldest: number
}

/** Asks for the latest state. */
export const STATE_REQUEST: HistoryRequest = { checkpoint: 0, first: 0, count: 0, offset: 0 }

export function encodeHistoryRequest({ checkpoint, count, first, offset }: HistoryRequest): Uint8Array {
  return withNumbers('history-request', REQUEST_BYTES, [checkpoint, first, count, offset])
}

/** @throws NarvalError ERR_CODEC */
export function decodeHistoryRequest(bytes: Uint8Array): HistoryRequest {
  const [checkpoint, first, count, offset] = readNumbers('history-request', bytes, REQUEST_BYTES)
  const request = { checkpoint: checkpoint!, first: first!, count: count!, offset: offset! }
  if (request.checkpoint === 0 ? request.first + request.count + request.offset > 0 : !isOfIntervals(request)) {
    throw record.malformed('history-request', `checkpoint ${checkpoint}, ${count} intervals from commit ${first}`)
  }
  return request
}

export function encodeHistoryPiece({ bytes, checkpoint, first, offset, total, what }: HistoryPiece): Uint8Array {
  assert(bytes.length >= 1 && bytes.length <= HISTORY_PIECE_BYTES_MAX, 'a piece within its limits')
  const numbers = [checkpoint, first, offset]
  const piece = withNumbers('history-piece', HISTORY_PIECE_HEAD_BYTES + bytes.length, numbers)
  piece[2] = KINDS[what]
  new DataView(piece.buffer).setUint32(4, total, true)
  piece.set(bytes, HISTORY_PIECE_HEAD_BYTES)
  return piece
}

/** @throws NarvalError ERR_CODEC */
export function decodeHistoryPiece(bytes: Uint8Array): HistoryPiece {
  const kind = 'history-piece'
  const view = record.open(
    kind,
    bytes,
    HISTORY_PIECE_HEAD_BYTES + 1,
    HISTORY_PIECE_HEAD_BYTES + HISTORY_PIECE_BYTES_MAX,
  )
  record.readZeros(kind, bytes, 3, 1)
  const what = (Object.keys(KINDS) as HistoryKind[]).find((each) => KINDS[each] === bytes[2])
  if (what === undefined) throw record.malformed(kind, `a piece of kind ${bytes[2]}`)
  const piece = {
    what,
    total: view.getUint32(4, true),
    checkpoint: record.readWhole(kind, view, NUMBER_AT, 'checkpoint', 1),
    first: record.readWhole(kind, view, NUMBER_AT + 8, 'first'),
    offset: record.readWhole(kind, view, NUMBER_AT + 16, 'offset'),
    bytes: record.readBytes(bytes, HISTORY_PIECE_HEAD_BYTES, bytes.length - HISTORY_PIECE_HEAD_BYTES),
  }
  if (piece.total > BYTES_MAX[what] || piece.offset + piece.bytes.length > piece.total) {
    throw record.malformed(kind, `${piece.bytes.length} bytes at ${piece.offset} of ${piece.total}`)
  }
  return piece
}

export function encodeHistoryEnd({ checkpoint, first, oldest }: HistoryEnd): Uint8Array {
  return withNumbers('history-end', END_BYTES, [checkpoint, first, oldest])
}

/** @throws NarvalError ERR_CODEC */
export function decodeHistoryEnd(bytes: Uint8Array): HistoryEnd {
  const [checkpoint, first, oldest] = readNumbers('history-end', bytes, END_BYTES)
  return { checkpoint: checkpoint!, first: first!, oldest: oldest! }
}

/** The first commit of the interval that a commit is in. */
export function intervalOf(index: number): number {
  return index - ((index - 1) % CHECKPOINT_INTERVAL)
}

function isOfIntervals({ checkpoint, count, first }: HistoryRequest): boolean {
  const isWhole = checkpoint % CHECKPOINT_INTERVAL === 0 && first % CHECKPOINT_INTERVAL === 1
  const last = first + count * CHECKPOINT_INTERVAL - 1
  return isWhole && count >= 1 && count <= HISTORY_INTERVALS_MAX && last <= checkpoint
}

function withNumbers(kind: record.RecordKind, length: number, numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS[kind]])
  const view = new DataView(bytes.buffer)
  for (const [at, number] of numbers.entries()) record.writeWhole(view, NUMBER_AT + 8 * at, number)
  return bytes
}

function readNumbers(kind: record.RecordKind, bytes: Uint8Array, length: number): number[] {
  const view = record.open(kind, bytes, length, length)
  record.readZeros(kind, bytes, 2, NUMBER_AT - 2)
  const count = (length - NUMBER_AT) / 8
  return Array.from({ length: count }, (_, at) => record.readWhole(kind, view, NUMBER_AT + 8 * at, 'number'))
}
