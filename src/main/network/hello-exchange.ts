/**
 * The hello on one connection: record, record, ok (docs/protocol.md). The side that dialled opens the stream and speaks
 * first; the other answers with its own record, or with why it refuses; the dialler says ok, or why not. The listener
 * ends its side of the stream once it has taken the ok, and the dialler opens nothing before that.
 */
import type { Stream } from '@libp2p/interface'
import { HELLO_BYTES_MAX } from '../../shared/constants.js'
import { encodeFrameOf, type FrameName } from '../../shared/wire/frames.js'
import type { HelloVerdict } from '../../shared/wire/hello-check.js'
import { collect } from './frame-stream.js'
import { type FrameTaker, type Session, serve } from './router.js'

export type HelloGood = Extract<HelloVerdict, { ok: true }>

export type HelloOutcome =
  | { readonly type: 'good'; readonly hello: HelloGood }
  /** We refuse the peer. */
  | { readonly type: 'refused'; readonly reason: string; readonly detail: string }
  /** The peer refuses us. */
  | { readonly type: 'refused-by-peer'; readonly detail: string }
  /** The stream ended before the exchange did. */
  | { readonly type: 'broken'; readonly detail: string }

export interface HelloExchangeOptions {
  readonly role: 'dialler' | 'listener'
  /** Our own hello, signed. */
  readonly ownHello: Uint8Array
  readonly check: (hello: Uint8Array) => HelloVerdict
}

const REFUSAL_CHARS_MAX = 512

/** Runs the exchange on a fresh stream. Never rejects. */
export function exchangeHello(stream: Stream, options: HelloExchangeOptions): Promise<HelloOutcome> {
  const { role, ownHello, check } = options
  return new Promise((resolve) => {
    let peerHello: HelloGood | undefined
    let saidOk = false
    let over = false
    const say = (name: FrameName, payload: Uint8Array): void => {
      if (stream.writeStatus === 'writable') stream.send(encodeFrameOf(name, payload))
    }
    const end = (): void => {
      over = true
      stream.close().catch(() => {})
    }
    const refuse = (reason: string, detail: string): void => {
      say('helloRefused', Buffer.from(`${reason}: ${detail}`.slice(0, REFUSAL_CHARS_MAX)))
      end()
      resolve({ type: 'refused', reason, detail })
    }
    const onHello = (payload: Uint8Array): void => {
      const verdict = check(payload)
      if (!verdict.ok) {
        refuse(verdict.reason, verdict.detail)
        return
      }
      peerHello = verdict
      if (role === 'listener') say('hello', ownHello)
      else {
        saidOk = true
        say('helloOk', new Uint8Array(0))
      }
    }
    const onFrame = (name: FrameName, payload: Uint8Array): void => {
      if (name === 'hello' && peerHello === undefined) onHello(payload)
      else if (name === 'helloOk' && role === 'listener' && peerHello !== undefined) {
        end()
        resolve({ type: 'good', hello: peerHello })
      } else if (name === 'helloRefused') {
        end()
        const detail = Buffer.from(payload)
          .toString('utf8')
          .replace(/[^\x20-\x7e]/g, '?')
        resolve({ type: 'refused-by-peer', detail: detail.slice(0, REFUSAL_CHARS_MAX) })
      } else refuse('out-of-turn', `a frame of type ${name} is not expected now`)
    }
    const take =
      (name: FrameName): FrameTaker =>
      (payloadBytes) => {
        if (payloadBytes > HELLO_BYTES_MAX) {
          return { refused: 'frame-too-large', detail: `${payloadBytes} bytes, at most ${HELLO_BYTES_MAX}` }
        }
        return collect(payloadBytes, (payload) => {
          // Whatever the peer says after the end changes nothing.
          if (!over) onFrame(name, payload)
          return undefined
        })
      }
    const begin = (): Session => ({
      stream: 'hello',
      hello: take('hello'),
      helloOk: take('helloOk'),
      helloRefused: take('helloRefused'),
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
    serve(stream, begin, (reason, detail) => resolve({ type: 'refused', reason, detail }))
    if (role === 'dialler') say('hello', ownHello)
  })
}
