/**
 * The event router: every stream between workers, and between primaries, passes it, and every frame of every stream goes from it to the one
 * stage that the frame is for.
 *
 * ```
 *  stream                           frame                  stage
 *  /narval/hello/1                  hello, ok, refused  ─▶ the exchange on that connection
 *  /narval/batch/1, opened by us    ack                 ─▶ BatchStreams ─▶ Dissemination ─▶ quorum-waiter
 *  /narval/batch/1, by the peer     batch               ─▶ InboundBatches ─▶ processor ─▶ ACK, `OthersBatch`
 *  /narval/sync/1, opened by us     found, missing      ─▶ Synchronizer ─▶ processor
 *  /narval/sync/1, by the peer      request             ─▶ Helper ─▶ reads the store, replies
 *  /narval/primary/1, by the peer   record              ─▶ PrimaryStreams ─▶ the primary's thread
 *  /narval/link/1                   link                ─▶ LinkChannel: a worker, or its own primary
 * ```
 *
 * The network hands over what peers open (`accept`), a stage what it opened itself (`open`). For each stream the stage
 * begins a session, which takes the frames of that stream. Any other frame is refused, counted, and its stream closed.
 */
import type { Stream } from '@libp2p/interface'
import type { PeerRefusal } from '../../shared/refusals.js'
import { frameName } from '../../shared/wire/frames.js'
import { type FrameSink, FrameStream, type Refused } from './frame-stream.js'
import { BATCH_PROTOCOL, type PeerProtocol, PRIMARY_PROTOCOL, SYNC_PROTOCOL } from './protocols.js'

/** Takes one kind of frame of one stream: where the payload goes, or that it has to wait, or why it is refused. */
export type FrameTaker = (payloadBytes: number) => FrameSink | 'wait' | Refused

/** The frames that may come on a stream, by whose it is. */
export type Routes =
  /** `/narval/hello/1`: who is there. */
  | {
      readonly stream: 'hello'
      readonly hello: FrameTaker
      readonly helloOk: FrameTaker
      readonly helloRefused: FrameTaker
    }
  /** `/narval/batch/1`, opened by us: our batches go out. */
  | { readonly stream: 'our-batches'; readonly ack: FrameTaker }
  /** `/narval/batch/1`, opened by the peer: its batches come in. */
  | { readonly stream: 'their-batches'; readonly batch: FrameTaker }
  /** `/narval/sync/1`, opened by the peer: it lacks batches. */
  | { readonly stream: 'their-request'; readonly request: FrameTaker }
  /** `/narval/sync/1`, opened by us: we lack batches. */
  | { readonly stream: 'our-request'; readonly found: FrameTaker; readonly missing: FrameTaker }
  /** `/narval/primary/1`, opened by us: what our primary says goes out, and nothing comes back. */
  | { readonly stream: 'our-records' }
  /** `/narval/primary/1`, opened by the peer: what its primary says. */
  | { readonly stream: 'their-records'; readonly record: FrameTaker }
  /** `/narval/link/1`: what our own worker says, or our own primary. */
  | { readonly stream: 'link'; readonly link: FrameTaker }

/** A stage's part in one stream. */
export type Session = Routes & {
  /** The peer has ended its side, between frames, and all frames before that were taken. */
  readonly onEnd?: () => void
  /** The stream is gone, for whatever reason. Called once. */
  readonly onClosed: () => void
  /** Silence of the peer between frames is a stall too. */
  readonly owesFrames?: boolean
  /** A frame must go on within this; FRAME_STALL_MS unless given. */
  readonly stallMs?: number
}
export type SessionOf<S extends Routes['stream']> = Extract<Session, { stream: S }>

/** The stages whose streams peers open: a worker's, or a primary's. A session may use `frames` once it was returned. */
export interface AcceptingStages {
  readonly inbound?: { accept(peer: number, frames: FrameStream): SessionOf<'their-batches'> }
  readonly helper?: { accept(peer: number, frames: FrameStream): SessionOf<'their-request'> | undefined }
  readonly primary?: { accept(peer: number, frames: FrameStream): SessionOf<'their-records'> }
}

export type OnRefused = (refusal: PeerRefusal, detail: string) => void

export class Router {
  private readonly stages: () => AcceptingStages
  private readonly onRefused: (peer: number, refusal: PeerRefusal, detail: string) => void
  private readonly onFailed: ((error: unknown) => void) | undefined

  /**
   * @param stages asked for each stream, since stages and router know each other
   * @param onFailed a stage threw at a frame
   */
  constructor(
    stages: () => AcceptingStages,
    onRefused: (peer: number, refusal: PeerRefusal, detail: string) => void,
    onFailed?: (error: unknown) => void,
  ) {
    this.stages = stages
    this.onRefused = onRefused
    this.onFailed = onFailed
  }

  /** A verified peer opened a stream. */
  accept(protocol: PeerProtocol, peer: number, stream: Stream): void {
    const { helper, inbound, primary } = this.stages()
    switch (protocol) {
      case BATCH_PROTOCOL:
        this.open(peer, stream, (frames) => inbound!.accept(peer, frames))
        return
      case SYNC_PROTOCOL:
        this.open(peer, stream, (frames) => helper!.accept(peer, frames))
        return
      case PRIMARY_PROTOCOL:
        this.open(peer, stream, (frames) => primary!.accept(peer, frames))
    }
  }

  /** We opened a stream to a peer: `begin` makes the session that takes what comes back. */
  open(peer: number, stream: Stream, begin: (frames: FrameStream) => Session | undefined): FrameStream {
    return serve(stream, begin, (refusal, detail) => this.onRefused(peer, refusal, detail), this.onFailed)
  }
}

/** Cuts a stream into frames and routes each to the session; a stage without a session for it has aborted the stream. */
export function serve(
  stream: Stream,
  begin: (frames: FrameStream) => Session | undefined,
  onRefused: OnRefused,
  onFailed?: (error: unknown) => void,
): FrameStream {
  let session: Session | undefined
  const frames = new FrameStream(stream, {
    onFrame: (type, payloadBytes) => route(session!, type, payloadBytes),
    onRefused,
    onEnd: () => session?.onEnd?.(),
    onClosed: () => session?.onClosed(),
    onFailed,
  })
  session = begin(frames)
  if (session !== undefined) frames.expect(session)
  return frames
}

/** Routes one frame, at its beginning. */
export function route(routes: Routes, type: number, payloadBytes: number): FrameSink | 'wait' | Refused {
  const name = frameName(type)
  if (name === undefined) return { refused: 'unknown-frame-type', detail: `type ${type}` }
  switch (routes.stream) {
    case 'hello':
      if (name === 'hello') return routes.hello(payloadBytes)
      if (name === 'helloOk') return routes.helloOk(payloadBytes)
      if (name === 'helloRefused') return routes.helloRefused(payloadBytes)
      break
    case 'our-batches':
      if (name === 'ack') return routes.ack(payloadBytes)
      break
    case 'their-batches':
      if (name === 'batch') return routes.batch(payloadBytes)
      break
    case 'their-request':
      if (name === 'request') return routes.request(payloadBytes)
      break
    case 'our-request':
      if (name === 'found') return routes.found(payloadBytes)
      if (name === 'missing') return routes.missing(payloadBytes)
      break
    case 'our-records':
      break
    case 'their-records':
      if (name === 'record') return routes.record(payloadBytes)
      break
    case 'link':
      if (name === 'link') return routes.link(payloadBytes)
  }
  return { refused: 'frame-on-wrong-stream', detail: `a frame of type ${name} on a stream of ${routes.stream}` }
}
