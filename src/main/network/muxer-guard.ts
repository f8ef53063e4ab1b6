/**
 * A guard's eyes in yamux: which frames come in, what goes out, and how streams begin. As shipped, yamux takes frames as
 * fast as they come, answers pings and opens whatever the peer leaves unread, and keeps a data frame of any size until
 * it is complete.
 *
 * These are the package's internals. If they differ from those that are known here, the muxer stays as it was shipped,
 * and the caller is told.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import { SLICE_BYTES } from '../../shared/constants.js'
import type { ConnectionGuard, OpenedStream, SecuredStream } from './connection-guard.js'
import { MUXER_FRAME_BYTES_MAX, MUXER_FRAME_PIECES_MAX, NEGOTIATION_ANSWERS_MAX } from './limits.js'
import { workOfFrame, type YamuxHeader } from './work-budget.js'

interface Frame {
  readonly header: YamuxHeader
}

/** What we know of the package's muxer. */
interface Muxer {
  readonly streams: readonly { readonly streamId: number }[]
  readonly decoder: { readonly buffer: Uint8ArrayList; readFrame: () => Frame | undefined }
  send: (data: Uint8Array | Uint8ArrayList) => boolean
  handleGoAway: (reason: number) => void
  _newStream: (...args: unknown[]) => MuxedStream
}

/** What we know of its streams. */
interface MuxedStream extends OpenedStream {
  readonly direction: 'inbound' | 'outbound'
  send?: (data: Uint8Array | Uint8ArrayList) => boolean
  sendData: (data: Uint8ArrayList) => { sentBytes: number; canSendMore: boolean }
}

const HEADER_BYTES = 12
const FULL = { sentBytes: 0, canSendMore: false }

/** Puts a new muxer under the guard of its connection; says whether it could. */
export function guardMuxer(muxer: unknown, connection: SecuredStream, guard: ConnectionGuard): boolean {
  const it = muxer as Muxer
  const functions = [it.decoder?.readFrame, it.decoder?.buffer?.consume, it.send, it.handleGoAway, it._newStream]
  if (functions.some((each) => typeof each !== 'function') || !Array.isArray(it.streams)) return false
  guardFrames(it, guard)
  const send = it.send.bind(it)
  it.send = (data) => guard.mayQueue(data.byteLength) && send(data)
  const handleGoAway = it.handleGoAway.bind(it)
  it.handleGoAway = (reason) => {
    handleGoAway(reason)
    guard.onGoAway()
  }
  const newStream = it._newStream.bind(it)
  it._newStream = (...args) => {
    const stream = newStream(...args)
    holdBack(stream, connection)
    if (stream.direction === 'inbound') {
      countAnswers(stream, guard)
      guard.onStream(stream)
    }
    return stream
  }
  return true
}

/** Each frame is paid for. When the budget is spent no more are taken: they stay in the decoder's buffer. */
function guardFrames(muxer: Muxer, guard: ConnectionGuard): void {
  const { decoder } = muxer
  const readFrame = decoder.readFrame.bind(decoder)
  let pieces = 0
  decoder.readFrame = () => {
    if (!guard.isOpen) return undefined
    const frame = readFrame()
    if (frame === undefined) {
      pieces = keepPart(decoder.buffer, pieces + 1, guard)
      return undefined
    }
    pieces = 0
    const { header } = frame
    guard.spend(
      workOfFrame(
        header,
        muxer.streams.some(({ streamId }) => streamId === header.streamID),
      ),
    )
    return frame
  }
}

/** A part of a frame waits for the rest; returns in how many pieces. */
function keepPart(buffer: Uint8ArrayList, pieces: number, guard: ConnectionGuard): number {
  if (buffer.byteLength === 0) return 0
  if (buffer.byteLength > MUXER_FRAME_BYTES_MAX + HEADER_BYTES) {
    guard.refuse('muxer-frame-too-large', `more than ${MUXER_FRAME_BYTES_MAX} bytes in one frame of the muxer`)
    return 0
  }
  if (pieces <= MUXER_FRAME_PIECES_MAX) return pieces
  const whole = buffer.slice()
  buffer.consume(whole.length)
  buffer.append(whole)
  return 1
}

/**
 * A stream hands nothing to a muxer that is full, and one slice at a time otherwise. As shipped, it forgets that the
 * muxer is full whenever its window is opened, so that a peer fills our memory with window updates.
 */
function holdBack(stream: MuxedStream, connection: SecuredStream): void {
  const sendData = stream.sendData.bind(stream)
  stream.sendData = (data) => {
    if (connection.writableNeedsDrain) return FULL
    return sendData(data.byteLength > SLICE_BYTES ? data.sublist(0, SLICE_BYTES) : data)
  }
}

/** Until a stream is negotiated, all that is sent on it answers a proposal of the peer's, and there are only so many. */
function countAnswers(stream: MuxedStream, guard: ConnectionGuard): void {
  const send = stream.send?.bind(stream)
  if (send === undefined) return
  let answers = 0
  stream.send = (data) => {
    if (stream.protocol !== '') {
      delete stream.send
      return send(data)
    }
    answers += 1
    guard.spend(1)
    if (answers <= NEGOTIATION_ANSWERS_MAX) return send(data)
    guard.report('negotiation-flood', `more than ${NEGOTIATION_ANSWERS_MAX} proposals on one stream`)
    // libp2p resets the stream then.
    throw new Error('too many proposals on one stream')
  }
}
