/**
 * The event router: what arrives on a stream goes to the one stage that it is for, and nothing else goes anywhere.
 *
 * - an **ACK** for a batch of ours → quorum-waiter (through Dissemination, which frees the peer's window);
 * - a **batch** of another authority → processor → ACK back, `OthersBatch` to the primary;
 * - a **batch request** → Helper, which reads the store and replies;
 * - a reply to a request of ours → Synchronizer → processor.
 *
 * Which of them may come depends on whose stream it is. Anything else is refused, counted, and its stream closed.
 */
import { frameName } from '../../shared/wire/frames.js'
import type { FrameSink, Refused } from './frame-stream.js'

/** Takes one kind of frame of one stream: where the payload goes, or that it has to wait, or why it is refused. */
export type FrameTaker = (payloadBytes: number) => FrameSink | 'wait' | Refused

/** The frames that may come on a stream, by whose it is. */
export type Routes =
  /** `/narval/batch/1`, opened by us: our batches go out. */
  | { readonly stream: 'our-batches'; readonly ack: FrameTaker }
  /** `/narval/batch/1`, opened by the peer: its batches come in. */
  | { readonly stream: 'their-batches'; readonly batch: FrameTaker }
  /** `/narval/sync/1`, opened by the peer: it lacks batches. */
  | { readonly stream: 'their-request'; readonly request: FrameTaker }
  /** `/narval/sync/1`, opened by us: we lack batches. */
  | { readonly stream: 'our-request'; readonly found: FrameTaker; readonly missing: FrameTaker }

/** Routes one frame, at its beginning. */
export function route(routes: Routes, type: number, payloadBytes: number): FrameSink | 'wait' | Refused {
  const name = frameName(type)
  if (name === undefined) return { refused: 'unknown-frame-type', detail: `type ${type}` }
  switch (routes.stream) {
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
  }
  return { refused: 'frame-on-wrong-stream', detail: `a frame of type ${name} on a stream of ${routes.stream}` }
}
