/**
 * Yamux, with fewer window updates. As shipped, the receiver of a stream answers every data frame with an update of 12
 * bytes: a noise message, a system call and a wake-up on both sides for each slice of a batch. Here it answers when half
 * of the window is used up, as other implementations do. The sender is never stopped by it: it has the other half.
 *
 * `sendWindowUpdate` is internal to the package: where it is not what we know, a stream stays as it was shipped, and
 * whoever asked is told.
 */
import { yamux } from '@chainsafe/libp2p-yamux'

type Yamux = ReturnType<ReturnType<typeof yamux>>

/** What we know of the package's muxer. */
interface YamuxMuxer {
  _newStream?: (...args: unknown[]) => YamuxStream
}

/** What we know of the package's stream. */
export interface YamuxStream {
  /** The window that the peer may use up, and what is left of it, in bytes. */
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  readonly state: number
  sendWindowUpdate(): void
}

/** `StreamState.Established`: in the states before it, an update opens the stream. */
const ESTABLISHED = 3

/**
 * A factory for libp2p's `streamMuxers`.
 *
 * @param onAsShipped the installed package is not the one that we know: a stream stays as it was shipped
 */
export function leanYamux(init: Parameters<typeof yamux>[0], onAsShipped: () => void): () => Yamux {
  return () => {
    const factory = yamux(init)()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection)
      const internals = muxer as unknown as YamuxMuxer
      const newStream = internals._newStream?.bind(muxer)
      if (newStream === undefined) onAsShipped()
      else {
        internals._newStream = (...args) => {
          const stream = newStream(...args)
          if (!updateByHalves(stream)) onAsShipped()
          return stream
        }
      }
      return muxer
    }
    return factory
  }
}

/** Holds window updates back until half of the window is used up; says whether it could. */
export function updateByHalves(stream: YamuxStream): boolean {
  if (typeof stream.sendWindowUpdate !== 'function' || typeof stream.recvWindowCapacity !== 'number') return false
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (stream.state === ESTABLISHED && stream.recvWindowCapacity > stream.recvWindow / 2) return
    sendWindowUpdate()
  }
  return true
}
