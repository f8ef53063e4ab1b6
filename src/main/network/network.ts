/**
 * The network of a worker: libp2p connections that have become peers. It listens, keeps every peer dialled, runs the
 * hello on each new connection before anything else may happen on it, and hands over verified peers and their streams.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { TcpAddress } from '../../shared/config/address.js'
import { shortName } from '../../shared/config/short-name.js'
import {
  CONNECTIONS_PER_AUTHORITY_MAX,
  DIAL_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  UNVERIFIED_CONNECTIONS_MAX,
} from '../../shared/constants.js'
import { listenError } from '../../shared/errors.js'
import type { PeerRefusal } from '../../shared/refusals.js'
import type { AckLevelCode } from '../../shared/wire/ack.js'
import type { HelloVerdict } from '../../shared/wire/hello-check.js'
import type { Logger } from '../lib/log.js'
import { Dialer } from './dialer.js'
import { DiscoveredAddresses } from './discovered-addresses.js'
import { exchangeHello, type HelloOutcome } from './hello-exchange.js'
import type { Peer, PeerTable } from './peer-table.js'
import { HELLO_PROTOCOL, PEER_PROTOCOLS, type PeerProtocol } from './protocols.js'

export interface NetworkDependencies {
  readonly node: Libp2p
  /** Where it listens, for messages. */
  readonly listen: TcpAddress
  readonly peers: PeerTable
  readonly log: Logger
  /** Our public key, to decide who dials first. */
  readonly ownKey: Uint8Array
  /** The level that an ACK must have to count here. */
  readonly ackLevel: AckLevelCode
  /** A fresh hello of ours, signed. */
  readonly ownHello: () => Uint8Array
  /** Whether to believe a hello that came on a connection of this PeerId. */
  readonly checkHello: (hello: Uint8Array, connectionPeerId: string) => HelloVerdict
  /** UNVERIFIED_CONNECTIONS_MAX unless given. */
  readonly unverifiedMax?: number
}

export interface NetworkHandlers {
  /** A connection with a peer is verified: streams may be opened on it. */
  readonly onPeerConnected: (peer: Peer, connection: Connection) => void
  /** The last connection with a peer is gone. */
  readonly onPeerLost: (peer: Peer) => void
  /** A verified peer opened a stream. */
  readonly onStream: (protocol: PeerProtocol, peer: Peer, stream: Stream) => void
  /** Something was refused; `from` names the peer or, before its hello, the address. */
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void
}

/** A connection whose hello is not over. */
interface Unverified {
  readonly connection: Connection
  /** Its one hello stream is there. */
  helloBegun: boolean
  /** What waits for the end of the hello. */
  settle: (good: boolean) => void
}

export class Network {
  private readonly dependencies: NetworkDependencies
  private readonly handlers: NetworkHandlers
  private readonly dialer: Dialer
  /** Connections whose hello is not over, by id. At most UNVERIFIED_CONNECTIONS_MAX that came in, and our own dials. */
  private readonly unverified = new Map<string, Unverified>()
  private readonly discovered = new DiscoveredAddresses()
  private closed = false

  constructor(dependencies: NetworkDependencies, handlers: NetworkHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
    this.dialer = new Dialer({
      dial: (peer, address) => this.dial(peer, address),
      defersTo: (peer) => Buffer.compare(dependencies.ownKey, peer.publicKey) > 0,
      discovered: (peer, count) => this.discovered.next(count, (peerId) => dependencies.peers.mayBe(peer, peerId)),
      random: Math.random,
      pause: async (ms, signal) => void (await sleep(ms, undefined, { signal }).catch(() => {})),
    })
  }

  async start(): Promise<void> {
    const { listen, node, peers } = this.dependencies
    const streamLimits = { maxInboundStreams: 4, maxOutboundStreams: 8 }
    await node.handle(HELLO_PROTOCOL, (stream, connection) => this.onHelloStream(stream, connection), streamLimits)
    for (const protocol of PEER_PROTOCOLS) {
      const admit = (stream: Stream, connection: Connection): void => this.admitStream(protocol, stream, connection)
      await node.handle(protocol, admit, streamLimits)
    }
    node.addEventListener('connection:open', ({ detail }) => this.onConnection(detail))
    node.addEventListener('connection:close', ({ detail }) => this.onConnectionClosed(detail))
    node.addEventListener('peer:discovery', ({ detail }) => {
      if (detail.id.equals(node.peerId)) return
      for (const address of detail.multiaddrs) this.discovered.add(address.toString(), detail.id.toString())
    })
    try {
      await node.start()
    } catch (error) {
      // libp2p puts the system's error in its message, with a stack.
      const code = /EADDRINUSE/.test((error as Error).message) ? 'EADDRINUSE' : undefined
      const [, reason] = /: Error: (.*)/.exec((error as Error).message) ?? []
      throw listenError(Object.assign(new Error(reason ?? (error as Error).message), { code }), 'other workers', listen)
    }
    this.dialer.start(peers.peers)
  }

  /** Closes the connection of a peer that breaks the protocol or is silent; it is dialled again. */
  drop(peer: Peer, reason: string): void {
    for (const connection of [...peer.connections]) connection.abort(new Error(reason))
  }

  async close(): Promise<void> {
    this.closed = true
    this.dialer.close()
    await this.dependencies.node.stop()
  }

  private async dial(peer: Peer, address: string): Promise<boolean> {
    const { node, log } = this.dependencies
    try {
      // Where the committee file names the PeerId, noise proves it before anything else is said.
      const named = peer.namedPeerId === undefined || address.includes('/p2p/') ? '' : `/p2p/${peer.namedPeerId}`
      const connection = await node.dial(multiaddr(`${address}${named}`), {
        signal: AbortSignal.timeout(DIAL_TIMEOUT_MS),
      })
      const pending = this.unverified.get(connection.id)
      if (pending === undefined) return peer.connections.includes(connection)
      await new Promise<void>((resolve) => {
        const { settle } = pending
        pending.settle = (good) => {
          settle(good)
          resolve()
        }
      })
      return peer.connections.includes(connection)
    } catch (error) {
      log.debug(`Cannot reach ${shortName(peer.name)} at ${address}: ${(error as Error).message}`)
      return false
    }
  }

  private onConnection(connection: Connection): void {
    if (this.closed) return
    // Our own dials are as many as we have peers; strangers must not be able to keep us from them.
    const { unverifiedMax = UNVERIFIED_CONNECTIONS_MAX } = this.dependencies
    if (connection.direction === 'inbound' && this.strangers() >= unverifiedMax) {
      const detail = `${unverifiedMax} connections are without a hello, which is as many as may be`
      this.refuse(connection, 'too-many-connections', detail)
      return
    }
    const timer = setTimeout(() => {
      this.refuse(connection, 'hello-timeout', `no hello within ${HELLO_TIMEOUT_MS} ms`)
    }, HELLO_TIMEOUT_MS)
    this.unverified.set(connection.id, { connection, helloBegun: false, settle: () => clearTimeout(timer) })
    if (connection.direction === 'outbound') void this.sayHello(connection)
  }

  private async sayHello(connection: Connection): Promise<void> {
    try {
      const stream = await connection.newStream([HELLO_PROTOCOL], { signal: AbortSignal.timeout(HELLO_TIMEOUT_MS) })
      await this.runHello(stream, connection, 'dialler')
    } catch (error) {
      this.dependencies.log.debug(`The hello with ${connection.remoteAddr} broke off: ${(error as Error).message}`)
      connection.abort(error as Error)
    }
  }

  private onHelloStream(stream: Stream, connection: Connection): void {
    const pending = this.unverified.get(connection.id)
    if (connection.direction === 'outbound' || pending === undefined || pending.helloBegun) {
      const from = this.dependencies.peers.of(connection)?.name ?? connection.remoteAddr.toString()
      this.handlers.onRefused('hello-unexpected', from, 'one hello for each connection, from the side that dialled')
      stream.abort(new Error('a hello is not expected on this connection'))
      return
    }
    pending.helloBegun = true
    void this.runHello(stream, connection, 'listener')
  }

  /** Connections that came in and have not said who they are. */
  private strangers(): number {
    let count = 0
    for (const { connection } of this.unverified.values()) count += Number(connection.direction === 'inbound')
    return count
  }

  private async runHello(stream: Stream, connection: Connection, role: 'dialler' | 'listener'): Promise<void> {
    const outcome = await exchangeHello(stream, {
      role,
      ownHello: this.dependencies.ownHello(),
      check: (hello) => this.dependencies.checkHello(hello, connection.remotePeer.toString()),
      onLateFrame: (detail) => this.handlers.onRefused('hello-out-of-turn', connection.remoteAddr.toString(), detail),
    })
    this.onHelloOver(connection, outcome)
  }

  private onHelloOver(connection: Connection, outcome: HelloOutcome): void {
    const { peers, log } = this.dependencies
    if (!this.unverified.has(connection.id)) return
    switch (outcome.type) {
      case 'refused':
        // What was said to the peer is on its way: closing, unlike aborting, lets it arrive.
        peers.refused(outcome.index, `we refuse it: ${outcome.reason}: ${outcome.detail}`)
        this.handlers.onRefused(`hello-${outcome.reason}`, connection.remoteAddr.toString(), outcome.detail)
        this.closeGently(connection)
        return
      case 'refused-by-peer':
        peers.refused(outcome.index, `it refuses us: ${outcome.detail}`)
        log.warn(`${connection.remoteAddr} refuses our hello: ${outcome.detail}`)
        this.closeGently(connection)
        return
      case 'broken':
        log.debug(`The hello with ${connection.remoteAddr} broke off: ${outcome.detail}`)
        connection.abort(new Error(outcome.detail))
        return
    }
    const { index, record } = outcome.hello
    const peer = peers.at(index)!
    if (peer.connections.length >= CONNECTIONS_PER_AUTHORITY_MAX) {
      peer.connections[0]!.abort(new Error('replaced by a newer connection'))
    }
    if (peer.peerId !== undefined && peer.peerId !== record.peerId) {
      // One PeerId per worker: the newer record holds.
      for (const old of [...peer.connections]) old.abort(new Error('the authority has a newer network key'))
    }
    peer.peerId = record.peerId
    peer.helloTimeMs = Math.max(peer.helloTimeMs, record.timeMs)
    peer.ackLevel = record.ackLevel
    peer.refusal = undefined
    peers.learn(peer, record.addresses)
    const wasLost = peer.connections.length === 0
    peers.add(peer, connection)
    this.settle(connection, true)
    if (wasLost) log.info(`Connected to ${shortName(peer.name)} (${record.nodeVersion}, ${record.peerId})`)
    if (wasLost && record.ackLevel < this.dependencies.ackLevel) {
      const name = shortName(peer.name)
      log.warn(`${name} has a lower ack_level than we have: its ACKs do not count here, give both the same`)
    }
    this.handlers.onPeerConnected(peer, connection)
  }

  private onConnectionClosed(connection: Connection): void {
    this.settle(connection, false)
    const peer = this.dependencies.peers.remove(connection)
    if (peer === undefined || peer.connections.length > 0 || this.closed) return
    this.dependencies.log.warn(`Lost ${shortName(peer.name)}`)
    this.handlers.onPeerLost(peer)
    this.dialer.lost(peer)
  }

  private settle(connection: Connection, good: boolean): void {
    const pending = this.unverified.get(connection.id)
    this.unverified.delete(connection.id)
    pending?.settle(good)
  }

  private admitStream(protocol: PeerProtocol, stream: Stream, connection: Connection): void {
    const peer = this.dependencies.peers.of(connection)
    if (peer === undefined) this.refuse(connection, 'stream-before-hello', `a stream of ${protocol}`)
    else this.handlers.onStream(protocol, peer, stream)
  }

  private refuse(connection: Connection, reason: PeerRefusal, detail: string): void {
    this.handlers.onRefused(reason, connection.remoteAddr.toString(), detail)
    connection.abort(new Error(`${reason}: ${detail}`))
  }

  private closeGently(connection: Connection): void {
    connection.close({ signal: AbortSignal.timeout(1000) }).catch((error: Error) => connection.abort(error))
  }
}
