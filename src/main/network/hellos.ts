/**
 * Connections whose hello is not over: one hello for each, from the side that dialled, and nothing else before it ends.
 *
 * In: connections that libp2p has opened, and the streams of hellos on them. Out: verified connections, refusals.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { PeerRefusal } from '../../shared/refusals.js'
import type { HelloVerdict } from '../../shared/wire/hello-check.js'
import type { Logger } from '../lib/log.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { Gate } from './gate.js'
import { exchangeHello, type HelloGood, type HelloOutcome } from './hello-exchange.js'
import { HELLO_TIMEOUT_MS } from './limits.js'
import type { PeerTable } from './peer-table.js'
import { HELLO_PROTOCOL } from './protocols.js'

export interface HellosDependencies {
  readonly supervisor: Supervisor
  readonly peers: PeerTable
  readonly log: Logger
  /** A fresh hello of ours, signed. */
  readonly ownHello: () => Uint8Array
  /** Whether to believe a hello that came on a connection of this PeerId. */
  readonly checkHello: (hello: Uint8Array, connectionPeerId: string) => HelloVerdict
  /** The door of the node's listener. */
  readonly gate: Gate
}

export interface HellosHandlers {
  /** Its hello was good. The handler calls `settle` when the connection has its place among the peer's. */
  readonly onVerified: (connection: Connection, hello: HelloGood) => void
  /** The peer at the other end does not take our hello. */
  readonly onRefusedByPeer: (connection: Connection, detail: string) => void
  /** Something was refused; `from` names the peer or, before its hello, the address. */
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void
}

/** A connection whose hello is not over. */
interface Unverified {
  /** Its one hello stream is there. */
  helloBegun: boolean
  /** What waits for the end of the hello. */
  settle: () => void
}

export class Hellos {
  private readonly dependencies: HellosDependencies
  private readonly handlers: HellosHandlers
  /** By connection: those that came in, which the gate bounds, and our own dials, as many as our peers. */
  private readonly unverified = new Map<string, Unverified>()

  constructor(dependencies: HellosDependencies, handlers: HellosHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
  }

  /** A new connection: the hello of one that we dialled begins. */
  onOpened(connection: Connection): void {
    if (connection.direction === 'inbound') {
      // The gate gives it its time, and closes it if it must.
      this.dependencies.gate.onOpened(connection)
      this.unverified.set(connection.id, { helloBegun: false, settle: () => {} })
      return
    }
    // Our own dials are not counted among the gate's places, so strangers cannot take them.
    const onLate = this.dependencies.supervisor.guard('a late hello', () =>
      this.refuse(connection, 'hello-timeout', `no hello within ${HELLO_TIMEOUT_MS} ms`),
    )
    const timer = setTimeout(onLate, HELLO_TIMEOUT_MS)
    this.unverified.set(connection.id, { helloBegun: false, settle: () => clearTimeout(timer) })
    this.dependencies.supervisor.watch('a hello', this.say(connection))
  }

  /** The other side opened the stream of a hello. */
  onStream(stream: Stream, connection: Connection): void {
    const pending = this.unverified.get(connection.id)
    if (connection.direction === 'outbound' || pending === undefined || pending.helloBegun) {
      const from = this.dependencies.peers.of(connection)?.name ?? connection.remoteAddr.toString()
      this.handlers.onRefused('hello-unexpected', from, 'one hello for each connection, from the side that dialled')
      stream.abort(new Error('a hello is not expected on this connection'))
      return
    }
    pending.helloBegun = true
    this.dependencies.supervisor.watch('a hello', this.run(stream, connection, 'listener'))
  }

  /** Resolves when the hello of a connection is over, however it ends; at once if it is. */
  over(connection: Connection): Promise<void> {
    const pending = this.unverified.get(connection.id)
    if (pending === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      const { settle } = pending
      pending.settle = () => {
        settle()
        resolve()
      }
    })
  }

  /** The hello is over, or its connection is closed. */
  settle(connection: Connection): void {
    const pending = this.unverified.get(connection.id)
    this.unverified.delete(connection.id)
    pending?.settle()
  }

  /** Closes a connection for what came on it before its hello. */
  refuse(connection: Connection, reason: PeerRefusal, detail: string): void {
    this.dependencies.gate.onRefused(connection)
    this.handlers.onRefused(reason, connection.remoteAddr.toString(), detail)
    connection.abort(new Error(`${reason}: ${detail}`))
  }

  private async say(connection: Connection): Promise<void> {
    let stream: Stream
    try {
      stream = await connection.newStream([HELLO_PROTOCOL], { signal: AbortSignal.timeout(HELLO_TIMEOUT_MS) })
    } catch (error) {
      this.dependencies.log.debug(`The hello with ${connection.remoteAddr} broke off: ${(error as Error).message}`)
      connection.abort(error as Error)
      return
    }
    await this.run(stream, connection, 'dialler')
  }

  private async run(stream: Stream, connection: Connection, role: 'dialler' | 'listener'): Promise<void> {
    const outcome = await exchangeHello(stream, {
      role,
      ownHello: this.dependencies.ownHello(),
      check: (hello) => this.dependencies.checkHello(hello, connection.remotePeer.toString()),
      onLateFrame: (detail) => this.handlers.onRefused('hello-out-of-turn', connection.remoteAddr.toString(), detail),
      onFailed: (error) => this.dependencies.supervisor.fail('a hello', error),
    })
    this.onOver(connection, outcome)
  }

  private onOver(connection: Connection, outcome: HelloOutcome): void {
    const { gate, log, peers } = this.dependencies
    if (!this.unverified.has(connection.id)) return
    switch (outcome.type) {
      case 'good':
        this.handlers.onVerified(connection, outcome.hello)
        return
      case 'refused':
        // What was said to the peer is on its way: closing, unlike aborting, lets it arrive.
        peers.refused(outcome.index, `we refuse it: ${outcome.reason}: ${outcome.detail}`)
        gate.onRefused(connection)
        this.handlers.onRefused(`hello-${outcome.reason}`, connection.remoteAddr.toString(), outcome.detail)
        this.closeGently(connection)
        return
      case 'refused-by-peer':
        peers.refused(outcome.index, `it refuses us: ${outcome.detail}`)
        this.handlers.onRefusedByPeer(connection, outcome.detail)
        this.closeGently(connection)
        return
      case 'broken':
        log.debug(`The hello with ${connection.remoteAddr} broke off: ${outcome.detail}`)
        connection.abort(new Error(outcome.detail))
    }
  }

  private closeGently(connection: Connection): void {
    const closed = connection.close({ signal: AbortSignal.timeout(1000) })
    this.dependencies.supervisor.watch(
      'a hello',
      closed.catch((error: Error) => connection.abort(error)),
    )
  }
}
