/**
 * Yamux, with the windows that we need and fewer window updates.
 *
 * Every stream begins with the window of yamux's specification, 256 KiB each way, so that any implementation can be at
 * the other end. A stream on which batches come in gets a window of `STREAM_WINDOW_BYTES` from its reader, by one update
 * (`widenWindow`). What we may send follows from the peer's updates alone. The package's own way to larger windows is
 * off: it depends on a measured round trip, which says nothing on a busy machine.
 *
 * As shipped, the receiver of a stream answers every data frame with an update of 12 bytes: a noise message, a system
 * call and a wake-up on both sides for each slice of a batch. Here it answers when half of the window is used up, as
 * other implementations do. The sender is never stopped by it: it has the other half.
 *
 * Both touch the package's internals. If these differ from those that are known here, a stream stays as it was shipped,
 * and `onAsShipped` is called.
 */
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Stream } from '@libp2p/interface'
import { STREAM_WINDOW_BYTES, STREAM_WINDOW_INITIAL_BYTES } from '../../shared/constants.js'
import type { SecuredStream } from './connection-guard.js'
import type { ConnectionGuards } from './connection-guards.js'
import { guardMuxer } from './muxer-guard.js'

type Yamux = ReturnType<ReturnType<typeof yamux>>

/** What we know of the package's muxer. */
interface YamuxMuxer {
  _newStream?: (...args: unknown[]) => YamuxStream
}

/** What we know of the package's stream. */
export interface YamuxStream {
  /** The window that the peer may use up, what is left of it, and what the package may raise it to; in bytes. */
  recvWindow: number
  readonly recvWindowCapacity: number
  maxStreamWindowSize: number
  readonly state: number
  /** Empty until it is negotiated. */
  readonly protocol?: string
  sendWindowUpdate(): void
}

/** `StreamState.Established`: in the states before it, an update opens the stream. */
const ESTABLISHED = 3

/** Windows as they begin, and how far a stream as shipped may raise its own. */
const STREAM_OPTIONS = {
  initialStreamWindowSize: STREAM_WINDOW_INITIAL_BYTES,
  maxStreamWindowSize: STREAM_WINDOW_BYTES,
  // Unread data beyond the read buffer would abort the stream, so no window may exceed it.
  maxReadBufferLength: STREAM_WINDOW_BYTES + 1024,
}

/**
 * A factory for libp2p's `streamMuxers`.
 *
 * @param streamsMax inbound streams of a connection, and as many outbound ones
 * @param onAsShipped the installed package is not the one that we know: a stream stays as it was shipped
 * @param guards of the connections: what comes through is paid for
 */
export function leanYamux(streamsMax: number, onAsShipped: () => void, guards?: ConnectionGuards): () => Yamux {
  return () => {
    const factory = yamux({
      maxInboundStreams: streamsMax,
      maxOutboundStreams: streamsMax,
      streamOptions: STREAM_OPTIONS,
    })()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection)
      const internals = muxer as unknown as YamuxMuxer
      const newStream = internals._newStream?.bind(muxer)
      if (newStream === undefined) onAsShipped()
      else {
        internals._newStream = (...args) => {
          const stream = newStream(...args)
          if (!tame(stream)) onAsShipped()
          return stream
        }
      }
      const guard = guards?.of(connection)
      const secured = connection as typeof connection & SecuredStream
      if (guard !== undefined && !guardMuxer(muxer, secured, guard)) onAsShipped()
      return muxer
    }
    return factory
  }
}

/**
 * Fixes the window of a stream, and holds updates back until half of it is used up; says whether it could.
 *
 * A stream without a protocol gets no updates: what comes on it waits in the negotiation's buffer, and who negotiates needs
 * less than a window. One that is negotiated and carries more is one on which batches come in, and is widened.
 */
export function tame(stream: YamuxStream): boolean {
  if (!isKnown(stream)) return false
  stream.maxStreamWindowSize = stream.recvWindow
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    const isUnused = stream.protocol === '' || stream.recvWindowCapacity > stream.recvWindow / 2
    if (stream.state === ESTABLISHED && isUnused) return
    sendWindowUpdate()
  }
  return true
}

/** The peer may send `STREAM_WINDOW_BYTES` ahead on this stream from now on: one update tells it. */
export function widenWindow(stream: Stream): void {
  const internals = stream as unknown as YamuxStream
  if (!isKnown(internals) || stream.status !== 'open') return
  internals.maxStreamWindowSize = STREAM_WINDOW_BYTES
  internals.recvWindow = STREAM_WINDOW_BYTES
  // A stream that is paused sends it when it goes on.
  internals.sendWindowUpdate()
}

function isKnown(stream: YamuxStream): boolean {
  return (
    typeof stream.sendWindowUpdate === 'function' &&
    typeof stream.recvWindow === 'number' &&
    typeof stream.recvWindowCapacity === 'number' &&
    typeof stream.maxStreamWindowSize === 'number'
  )
}
