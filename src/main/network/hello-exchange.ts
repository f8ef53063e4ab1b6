/**
 * The hello on one connection: record, record, ok (docs/protocol.md). The side that dialled opens the stream and speaks
 * first; the other answers with its own record, or with why it refuses; the dialler says ok, or why not. The listener
 * ends its side of the stream once it has taken the ok, and the dialler opens nothing before that.
 */
import type { Stream } from '@libp2p/interface'
import { HELLO_BYTES_MAX } from '../../shared/constants.js'
import { encodeFrameOf, type FrameName } from '../../shared/wire/frames.js'
import type { HelloVerdict } from '../../shared/wire/hello-check.js'
import { collect, type FrameSink } from './frame-stream.js'
import { sendOn } from './hand-over.js'
import { type FrameTaker, type OnRefused, type Session, serve } from './router.js'

export type HelloGood = Extract<HelloVerdict, { ok: true }>

export type HelloOutcome =
  | { readonly type: 'good'; readonly hello: HelloGood }
  /** We refuse the peer. */
  | { readonly type: 'refused'; readonly reason: string; readonly detail: string; readonly index?: number }
  /** The peer refuses us. `index` says which peer, if its own hello was good. */
  | { readonly type: 'refused-by-peer'; readonly detail: string; readonly index?: number }
  /** The stream ended before the exchange did. */
  | { readonly type: 'broken'; readonly detail: string }

export interface HelloExchangeOptions {
  readonly role: 'dialler' | 'listener'
  /** Our own hello, signed. */
  readonly ownHello: Uint8Array
  readonly check: (hello: Uint8Array) => HelloVerdict
  /** A frame came behind the ok, when the exchange was over; its stream is aborted. */
  readonly onLateFrame: (detail: string) => void
  /** What a handler of ours threw at what the peer sent. Without this it is the process's. */
  readonly onFailed?: (error: unknown) => void
}

/** Bytes of what `hello refused` says. */
const REFUSAL_BYTES_MAX = 512
const IGNORED: FrameSink = { write() {}, end: () => undefined, abort() {} }

/** Runs the exchange on a fresh stream. Never rejects. */
export function exchangeHello(stream: Stream, options: HelloExchangeOptions): Promise<HelloOutcome> {
  const { role, ownHello, check } = options
  return new Promise((resolve) => {
    let peerHello: HelloGood | undefined
    let saidOk = false
    let over = false
    let isGood = false
    const say = (name: FrameName, payload: Uint8Array): void => {
      sendOn(stream, encodeFrameOf(name, payload))
    }
    const end = (): void => {
      over = true
      stream.close().catch(() => {})
    }
    const refuse = (reason: string, detail: string, index?: number): void => {
      say('helloRefused', Buffer.from(`${reason}: ${detail}`).subarray(0, REFUSAL_BYTES_MAX))
      end()
      resolve({ type: 'refused', reason, detail, ...(index !== undefined && { index }) })
    }
    const onHello = (payload: Uint8Array): void => {
      const verdict = check(payload)
      if (!verdict.ok) {
        refuse(verdict.reason, verdict.detail, verdict.index)
        return
      }
      peerHello = verdict
      if (role === 'listener') say('hello', ownHello)
      else {
        saidOk = true
        say('helloOk', new Uint8Array(0))
      }
    }
    const onRefusal = (payload: Uint8Array): void => {
      end()
      const detail = Buffer.from(payload)
        .toString('utf8')
        .replace(/[^\x20-\x7e]/g, '?')
      resolve({ type: 'refused-by-peer', detail, ...(peerHello !== undefined && { index: peerHello.index }) })
    }
    const onOk = (): void => {
      end()
      isGood = true
      resolve({ type: 'good', hello: peerHello! })
    }
    /**
     * Whether this frame of the peer's may come now. First comes its hello; a listener may refuse ours instead. After
     * the hello comes ok or a refusal.
     */
    const isDue = (name: FrameName): boolean => {
      if (saidOk) return false
      if (peerHello === undefined) return name === 'hello' || (name === 'helloRefused' && role === 'dialler')
      return name === 'helloOk' || name === 'helloRefused'
    }
    const take =
      (name: FrameName, bytesMax: number, onPayload: (payload: Uint8Array) => void): FrameTaker =>
      (payloadBytes) => {
        if (isGood) return { refused: 'hello-out-of-turn', detail: `a frame ${name} behind the ok` }
        // Once the peer is refused, what else it says goes nowhere: a reset could cut off what it was told.
        if (over) return IGNORED
        if (!isDue(name)) {
          refuse('out-of-turn', `a frame ${name} is not expected now`)
          return IGNORED
        }
        if (payloadBytes > bytesMax) {
          return { refused: 'frame-too-large', detail: `${name} of ${payloadBytes} bytes, at most ${bytesMax}` }
        }
        return collect(payloadBytes, (payload) => {
          onPayload(payload)
          return undefined
        })
      }
    const begin = (): Session => ({
      stream: 'hello',
      hello: take('hello', HELLO_BYTES_MAX, onHello),
      helloOk: take('helloOk', 0, onOk),
      helloRefused: take('helloRefused', REFUSAL_BYTES_MAX, onRefusal),
      onEnd: () => {
        if (saidOk && peerHello !== undefined) {
          end()
          resolve({ type: 'good', hello: peerHello })
        } else resolve({ type: 'broken', detail: 'the peer ended the hello' })
      },
      onClosed: () => {
        if (saidOk && peerHello !== undefined && stream.status === 'closed') {
          resolve({ type: 'good', hello: peerHello })
        } else resolve({ type: 'broken', detail: 'the connection was closed during the hello' })
      },
    })
    const onRefused: OnRefused = (reason, detail) => {
      if (isGood) options.onLateFrame(detail)
      else resolve({ type: 'refused', reason, detail })
    }
    serve(stream, begin, onRefused, options.onFailed)
    if (role === 'dialler') say('hello', ownHello)
  })
}
