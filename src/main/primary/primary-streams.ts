/**
 * The streams between primaries, one for each direction and peer: what our primary says goes out on the one that we opened,
 * over the peer's newest connection; what the peer's says comes in on the one that it opened last.
 *
 * A peer is connected, for our primary, while our stream to it is there: then what was lost with the one before is sent
 * again. A peer without credits is not read (primary-client.ts).
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { PrimarySend } from '../../shared/memory/dialogue/primary.js'
import { RECORD_BYTES_MAX } from '../../shared/wire/primary/limits.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import { collect, type FrameSink, type FrameStream, type Refused } from '../network/frame-stream.js'
import { sendOn, takesMore } from '../network/hand-over.js'
import type { Peer, PeerTable } from '../network/peer-table.js'
import { PRIMARY_PROTOCOL } from '../network/protocols.js'
import type { Router, SessionOf } from '../network/router.js'
import { RECORD_STREAM_BACKOFF_MS, RECORD_STREAM_STILL_MS } from './limits.js'
import type { PrimaryClient } from './primary-client.js'
import { RecordQueue } from './record-queue.js'

export interface PrimaryStreamsDependencies {
  readonly peers: PeerTable
  readonly router: Pick<Router, 'open'>
  readonly client: Pick<PrimaryClient, 'connected' | 'disconnected' | 'hasCredit' | 'message'>
  readonly supervisor?: Supervisor
  /** A clock that never goes back; the process's unless given. */
  readonly nowMs?: () => number
}

export interface StreamState {
  readonly connected: boolean
  /** Since its last record, or since the start, in ms. */
  readonly silentMs: number
  readonly queued: number
  readonly queuedBytes: number
  /** Records that were dropped because the peer did not take them, since the start. */
  readonly dropped: number
}

interface Link {
  readonly peer: Peer
  /** What is to go out. Empty while there is no stream. */
  readonly queue: RecordQueue
  /** The connection that our stream is on, or is being opened on. */
  connection: Connection | undefined
  stream: Stream | undefined
  /** The peer's stream. */
  inbound: FrameStream | undefined
  /** When its last record came, by the clock that never goes back. */
  heardMs: number
  /** When our stream took something last, or nothing waited for it. */
  tookMs: number
  /** Until it is over, no stream is opened. */
  pause: NodeJS.Timeout | undefined
}

export class PrimaryStreams {
  private readonly dependencies: PrimaryStreamsDependencies
  private readonly supervisor: Supervisor
  private readonly nowMs: () => number
  private readonly links: ReadonlyMap<number, Link>
  private isClosed = false

  constructor(dependencies: PrimaryStreamsDependencies) {
    this.dependencies = dependencies
    this.supervisor = dependencies.supervisor ?? unsupervised
    this.nowMs = dependencies.nowMs ?? (() => performance.now())
    this.links = new Map(
      dependencies.peers.peers.map((peer) => [
        peer.index,
        {
          peer,
          queue: new RecordQueue(),
          connection: undefined,
          stream: undefined,
          inbound: undefined,
          heardMs: this.nowMs(),
          tookMs: this.nowMs(),
          pause: undefined,
        },
      ]),
    )
  }

  /** Whether our stream to a peer is there, and what waits for it. */
  stateOf(index: number): StreamState {
    const { heardMs, queue, stream } = this.links.get(index)!
    return {
      connected: stream !== undefined,
      silentMs: this.nowMs() - heardMs,
      queued: queue.size,
      queuedBytes: queue.byteLength,
      dropped: queue.dropped,
    }
  }

  /** Records that were dropped because a peer did not take them, since the start. */
  get dropped(): number {
    return [...this.links.values()].reduce((sum, { queue }) => sum + queue.dropped, 0)
  }

  /** The peer has a connection: its newest one is used. */
  onPeerConnected(peer: Peer): void {
    const link = this.links.get(peer.index)!
    const newest = peer.connections.at(-1)
    if (this.isClosed || newest === undefined || link.pause !== undefined || link.connection === newest) return
    this.supervisor.watch('a stream between primaries', this.open(link, newest))
  }

  send(sends: readonly PrimarySend[]): void {
    for (const { bytes, to } of sends) {
      if (to !== 'all') this.push(this.links.get(to)!, bytes)
      else for (const link of this.links.values()) this.push(link, bytes)
    }
    for (const link of this.links.values()) {
      this.pump(link)
      this.endIfStill(link)
    }
  }

  /** A peer opened its stream: the one before is over. */
  accept(index: number, frames: FrameStream): SessionOf<'their-records'> {
    const link = this.links.get(index)!
    link.inbound?.abort('the peer has a newer stream')
    link.inbound = frames
    return {
      stream: 'their-records',
      record: (bytes) => this.takeRecord(index, bytes),
      onEnd: () => frames.abort('the peer ended the stream'),
      onClosed: () => {
        if (link.inbound === frames) link.inbound = undefined
      },
    }
  }

  /** The primary has taken some of this peer's messages. */
  onCredit(index: number): void {
    this.links.get(index)!.inbound?.retry()
  }

  close(): void {
    this.isClosed = true
    for (const { pause } of this.links.values()) clearTimeout(pause)
  }

  private takeRecord(from: number, payloadBytes: number): FrameSink | 'wait' | Refused {
    const { client } = this.dependencies
    if (payloadBytes > RECORD_BYTES_MAX) {
      return { refused: 'frame-too-large', detail: `a record of ${payloadBytes} bytes, at most ${RECORD_BYTES_MAX}` }
    }
    if (!client.hasCredit(from)) return 'wait'
    return collect(payloadBytes, (record) => {
      this.links.get(from)!.heardMs = this.nowMs()
      client.message(from, record)
      return undefined
    })
  }

  private async open(link: Link, connection: Connection): Promise<void> {
    const { stream: old } = link
    link.connection = connection
    if (old !== undefined) {
      this.lost(link)
      old.abort(new Error('the peer has a newer connection'))
    }
    // A connection that is gone opens none.
    const stream = await connection.newStream([PRIMARY_PROTOCOL]).catch(() => undefined)
    if (link.connection !== connection || this.isClosed) stream?.abort(new Error('it is not needed any more'))
    else if (stream?.status === 'open') this.attach(link, stream)
    else this.openLater(link)
  }

  private attach(link: Link, stream: Stream): void {
    const { client, router } = this.dependencies
    link.stream = stream
    link.tookMs = this.nowMs()
    router.open(link.peer.index, stream, () => ({
      stream: 'our-records',
      onEnd: () => stream.abort(new Error('the peer ended the stream')),
      onClosed: () => {
        if (link.stream !== stream) return
        this.lost(link)
        this.openLater(link)
      },
    }))
    const { guard } = this.supervisor
    const pump = guard('a stream between primaries', () => this.pump(link))
    // Not from within `send`, which dispatches `idle` and keeps back what it is handed then (hand-over.ts).
    const onRoom = guard('a stream between primaries', () => queueMicrotask(pump))
    stream.addEventListener('drain', onRoom)
    stream.addEventListener('idle', onRoom)
    client.connected(link.peer.index)
  }

  private lost(link: Link): void {
    link.stream = undefined
    link.queue.clear()
    this.dependencies.client.disconnected(link.peer.index)
  }

  /** The connection may be there still, or another one. */
  private openLater(link: Link): void {
    link.connection = undefined
    if (this.isClosed) return
    clearTimeout(link.pause)
    const open = this.supervisor.guard('a stream between primaries', () => {
      link.pause = undefined
      this.onPeerConnected(link.peer)
    })
    link.pause = setTimeout(open, RECORD_STREAM_BACKOFF_MS)
  }

  private push(link: Link, record: Uint8Array): void {
    if (link.stream !== undefined) link.queue.push(record)
  }

  private pump(link: Link): void {
    const { queue, stream } = link
    if (queue.size === 0) link.tookMs = this.nowMs()
    while (stream !== undefined && queue.size > 0 && takesMore(stream)) {
      if (!sendOn(stream, queue.takeFrames()!)) return
      link.tookMs = this.nowMs()
    }
  }

  /** Something is said every second at least: so this is looked at as often. */
  private endIfStill({ stream, tookMs }: Link): void {
    if (stream === undefined || this.nowMs() - tookMs < RECORD_STREAM_STILL_MS) return
    stream.abort(new Error(`the peer has taken nothing for ${RECORD_STREAM_STILL_MS} ms`))
  }
}
