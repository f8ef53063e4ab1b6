/**
 * Our batch stream to each peer: opened when the peer is connected, opened again when it breaks, and read for ACKs.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { ACK_BYTES, STREAM_BACKOFF_MS } from '../../../shared/constants.js'
import { readAck } from '../../../shared/wire/ack.js'
import { collect, type FrameSink, type Refused } from '../../network/frame-stream.js'
import type { Peer } from '../../network/peer-table.js'
import { BATCH_PROTOCOL } from '../../network/protocols.js'
import type { Router } from '../../network/router.js'
import type { Dissemination } from './dissemination.js'

export interface BatchStreamsHandlers {
  readonly onReceived: (peer: Peer, bytes: number) => void
}

export class BatchStreams {
  private readonly dissemination: Dissemination
  private readonly router: Router
  private readonly handlers: BatchStreamsHandlers
  /** Peers whose stream is being opened, or will be when the pause after the last one is over. */
  private readonly opening = new Set<Peer>()
  private readonly pauses = new Set<NodeJS.Timeout>()
  private closed = false

  constructor(dissemination: Dissemination, router: Router, handlers: BatchStreamsHandlers) {
    this.dissemination = dissemination
    this.router = router
    this.handlers = handlers
  }

  /** The peer has a connection: a stream is opened, unless there is one. */
  onPeerConnected(peer: Peer): void {
    const connection = peer.connections.at(-1)
    if (this.closed || connection === undefined || this.opening.has(peer)) return
    if (this.dissemination.senders.get(peer.index)!.isOpen) return
    this.opening.add(peer)
    void this.open(peer, connection)
  }

  close(): void {
    this.closed = true
    for (const pause of this.pauses) clearTimeout(pause)
  }

  private async open(peer: Peer, connection: Connection): Promise<void> {
    try {
      const stream = await connection.newStream([BATCH_PROTOCOL])
      this.opening.delete(peer)
      if (this.closed) stream.abort(new Error('closing'))
      else this.attach(peer, stream)
    } catch {
      this.openLater(peer)
    }
  }

  private attach(peer: Peer, stream: Stream): void {
    const sender = this.dissemination.senders.get(peer.index)!
    const detach = (): void => {
      sender.detach()
      this.openLater(peer)
    }
    if (stream.status !== 'open') {
      this.openLater(peer)
      return
    }
    this.router.open(peer.index, stream, () => ({
      stream: 'our-batches',
      ack: (bytes) => this.takeAck(peer, bytes),
      // The peer takes no more batches on this stream.
      onEnd: () => stream.abort(new Error('the peer ended the stream')),
      onClosed: detach,
    }))
    sender.attach(stream)
  }

  private takeAck(peer: Peer, payloadBytes: number): FrameSink | Refused {
    if (payloadBytes !== ACK_BYTES) {
      return { refused: 'ack-length', detail: `${payloadBytes} bytes, expected ${ACK_BYTES}` }
    }
    return collect(payloadBytes, (payload) => {
      this.handlers.onReceived(peer, payload.length)
      const read = readAck(payload, 0)
      if (!read.ok) return { refused: 'ack-malformed', detail: read.reason }
      return this.dissemination.onAck(peer.index, read.ack)
    })
  }

  private openLater(peer: Peer): void {
    this.opening.add(peer)
    const pause = setTimeout(() => {
      this.pauses.delete(pause)
      this.opening.delete(peer)
      this.onPeerConnected(peer)
    }, STREAM_BACKOFF_MS)
    this.pauses.add(pause)
  }
}
