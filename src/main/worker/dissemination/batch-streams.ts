/**
 * Our batch stream to each peer: opened when the peer is connected, opened again when it breaks, and read for ACKs.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { ACK_BYTES } from '../../../shared/constants.js'
import { readAck } from '../../../shared/wire/ack.js'
import { type Supervisor, unsupervised } from '../../lib/supervisor.js'
import { collect, type FrameSink, type Refused } from '../../network/frame-stream.js'
import type { Peer } from '../../network/peer-table.js'
import { BATCH_PROTOCOL } from '../../network/protocols.js'
import type { Router } from '../../network/router.js'
import type { Dissemination } from './dissemination.js'
import { STREAM_BACKOFF_MS } from './limits.js'

export interface BatchStreamsHandlers {
  readonly onReceived: (peer: Peer, bytes: number) => void
}

/** Where our batches go to one peer. */
interface Link {
  /** The connection that the stream is on, or is being opened on; undefined while there is neither. */
  connection: Connection | undefined
  stream: Stream | undefined
  /** When the stream was opened last. */
  openedMs: number
  /** Until it is over, no stream is opened. */
  pause: NodeJS.Timeout | undefined
}

export class BatchStreams {
  private readonly dissemination: Dissemination
  private readonly router: Router
  private readonly handlers: BatchStreamsHandlers
  private readonly links = new Map<Peer, Link>()
  private readonly supervisor: Supervisor
  private closed = false

  constructor(
    dissemination: Dissemination,
    router: Router,
    handlers: BatchStreamsHandlers,
    supervisor: Supervisor = unsupervised,
  ) {
    this.supervisor = supervisor
    this.dissemination = dissemination
    this.router = router
    this.handlers = handlers
  }

  /**
   * The peer has a connection. Our batches go over its newest one: a peer that came back knows nothing of the older one,
   * on which we might wait for its ACKs for a long time. A peer that comes back all the time moves them once a second.
   */
  onPeerConnected(peer: Peer): void {
    const newest = peer.connections.at(-1)
    const link = this.linkTo(peer)
    if (this.closed || newest === undefined || link.pause !== undefined || link.connection === newest) return
    const waitMs = link.openedMs + STREAM_BACKOFF_MS - performance.now()
    if (link.connection !== undefined && waitMs > 0) this.openLater(peer, link, waitMs)
    else this.supervisor.watch('a batch stream', this.open(peer, link, newest))
  }

  close(): void {
    this.closed = true
    for (const { pause } of this.links.values()) clearTimeout(pause)
  }

  private async open(peer: Peer, link: Link, connection: Connection): Promise<void> {
    const { stream: old } = link
    link.connection = connection
    link.stream = undefined
    link.openedMs = performance.now()
    if (old !== undefined) {
      old.abort(new Error('the peer has a newer connection'))
      this.dissemination.onStreamLost(peer.index)
    }
    // A connection that is gone opens none. What we do with the stream is another matter, and throws.
    const stream = await connection.newStream([BATCH_PROTOCOL]).catch(() => undefined)
    if (stream === undefined) {
      if (link.connection === connection) this.onEnded(peer, link)
    } else if (this.closed || link.connection !== connection) stream.abort(new Error('it is not needed any more'))
    else this.attach(peer, link, stream)
  }

  private attach(peer: Peer, link: Link, stream: Stream): void {
    if (stream.status !== 'open') {
      this.onEnded(peer, link)
      return
    }
    const sender = this.dissemination.senders.get(peer.index)!
    link.stream = stream
    this.router.open(peer.index, stream, () => ({
      stream: 'our-batches',
      ack: (bytes) => this.takeAck(peer, bytes),
      // The peer takes no more batches on this stream.
      onEnd: () => stream.abort(new Error('the peer ended the stream')),
      onClosed: () => {
        if (link.stream !== stream) return
        this.dissemination.onStreamLost(peer.index)
        this.onEnded(peer, link)
      },
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

  private onEnded(peer: Peer, link: Link): void {
    link.connection = undefined
    link.stream = undefined
    this.openLater(peer, link, STREAM_BACKOFF_MS)
  }

  private openLater(peer: Peer, link: Link, ms: number): void {
    if (this.closed) return
    clearTimeout(link.pause)
    const open = this.supervisor.guard('a batch stream', () => {
      link.pause = undefined
      this.onPeerConnected(peer)
    })
    link.pause = setTimeout(open, ms)
  }

  private linkTo(peer: Peer): Link {
    let link = this.links.get(peer)
    if (link === undefined) {
      link = { connection: undefined, stream: undefined, openedMs: Number.NEGATIVE_INFINITY, pause: undefined }
      this.links.set(peer, link)
    }
    return link
  }
}
