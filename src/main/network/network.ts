/**
 * The network of a worker, or of a primary: libp2p connections that have become peers. It listens, keeps every peer dialled, has the
 * hello said on each new connection before anything else (`hellos.ts`), and hands over verified peers and their streams.
 */
import type { Connection, Libp2p, PeerInfo, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { TcpAddress } from '../../shared/config/address.js'
import { shortName } from '../../shared/config/short-name.js'
import type { PeerRefusal } from '../../shared/refusals.js'
import type { AckLevelCode } from '../../shared/wire/ack.js'
import type { AddressRecord } from '../../shared/wire/address-record.js'
import type { HelloVerdict } from '../../shared/wire/hello-check.js'
import type { Logger } from '../lib/log.js'
import { sleep } from '../lib/sleep.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import type { HostNames } from '../names/host-names.js'
import { AddressRecords } from './address-records.js'
import type { ConnectionGuards } from './connection-guards.js'
import { dialableOfHello, hostOf, isDialableDiscovery, numericAddresses } from './dialable.js'
import { Dialer } from './dialer.js'
import { DiscoveredAddresses } from './discovered-addresses.js'
import { type Gate, remoteHostOf } from './gate.js'
import type { HelloGood } from './hello-exchange.js'
import { Hellos } from './hellos.js'
import { CONNECTIONS_PER_AUTHORITY_MAX, PROBE_TIMEOUT_MS } from './limits.js'
import { PeerLog } from './peer-log.js'
import type { Peer, PeerTable } from './peer-table.js'
import { HELLO_PROTOCOL, type PeerProtocol, PRIMARY_PROTOCOLS, WORKER_PROTOCOLS } from './protocols.js'
import { startListening } from './start-listening.js'

/** A protocol that nobody speaks. When a peer answers that it does not speak it, the connection is alive. */
const PROBE_PROTOCOL = '/narval/probe/1'

export interface NetworkDependencies {
  /** Takes what our own handlers throw. */
  readonly supervisor?: Supervisor
  readonly node: Libp2p
  /** What verified peers may speak; what workers do if not given. */
  readonly protocols?: readonly PeerProtocol[]
  /** Where it listens, for messages. */
  readonly listen: TcpAddress
  readonly peers: PeerTable
  readonly names: HostNames
  readonly log: Logger
  /** Our public key, to decide who dials first. */
  readonly ownKey: Uint8Array
  /** The level that an ACK must have to count here. */
  readonly ackLevel: AckLevelCode
  /** A fresh hello of ours, signed. */
  readonly ownHello: () => Uint8Array
  /** Whether to believe a hello that came on a connection of this PeerId. */
  readonly checkHello: (hello: Uint8Array, connectionPeerId: string) => HelloVerdict
  /** The door of the node's listener. */
  readonly gate: Gate
  /** Those of the node: told when a hello is over. */
  readonly guards?: ConnectionGuards
  /** Hosts beside the committee file's that may be of this machine: those of bootstrap nodes. */
  readonly trustedHosts?: ReadonlySet<string>
  /** Looks for peers that are not connected, and hands what they have signed to `onRecord`. */
  readonly search?: PeerSearch
}

export interface PeerSearch {
  start(): void
  /** A peer is lost. */
  wake(): void
  close(): Promise<void>
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

export class Network {
  private readonly dependencies: NetworkDependencies
  private readonly handlers: NetworkHandlers
  private readonly supervisor: Supervisor
  private readonly dialer: Dialer
  private readonly hellos: Hellos
  private readonly discovered = new DiscoveredAddresses()
  private readonly records: AddressRecords
  private readonly peerLog: PeerLog
  private closed = false

  constructor(dependencies: NetworkDependencies, handlers: NetworkHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
    this.supervisor = dependencies.supervisor ?? unsupervised
    this.records = new AddressRecords(this.trustedHosts())
    this.peerLog = new PeerLog({
      log: dependencies.log,
      nowMs: () => performance.now(),
      supervisor: this.supervisor,
    })
    this.hellos = new Hellos(
      { ...dependencies, supervisor: this.supervisor },
      {
        onVerified: (connection, hello) => this.onVerified(connection, hello),
        onRefusedByPeer: (connection, detail) => this.sayRefusedUs(connection, detail),
        onRefused: handlers.onRefused,
      },
    )
    this.dialer = new Dialer({
      dial: (peer, address, timeoutMs) => this.dial(peer, address, timeoutMs),
      resolve: (peer, address) => this.resolve(peer, address),
      defersTo: (peer) => Buffer.compare(dependencies.ownKey, peer.publicKey) > 0,
      discovered: (peer, count) => [
        // What the peer has signed has places of its own: no number of announcements keeps it waiting.
        ...this.records.next(peer.index),
        ...this.discovered.next(count, (peerId) => dependencies.peers.mayBe(peer, peerId)),
      ],
      random: Math.random,
      watch: this.supervisor.watch,
      nowMs: () => performance.now(),
      pause: sleep,
    })
  }

  async start(): Promise<void> {
    const { listen, node, peers, protocols = WORKER_PROTOCOLS } = this.dependencies
    const trustedHosts = this.trustedHosts()
    const streamLimits = { maxInboundStreams: 4, maxOutboundStreams: 8 }
    const { guard } = this.supervisor
    const onHello = guard('a hello', (stream: Stream, connection: Connection) =>
      this.hellos.onStream(stream, connection),
    )
    await node.handle(HELLO_PROTOCOL, onHello, streamLimits)
    for (const protocol of protocols) {
      const admit = guard('a stream', (stream: Stream, connection: Connection) =>
        this.admitStream(protocol, stream, connection),
      )
      await node.handle(protocol, admit, streamLimits)
    }
    const onOpen = guard('a connection', ({ detail }: { readonly detail: Connection }) => this.onConnection(detail))
    const onClose = guard('the end of a connection', ({ detail }: { readonly detail: Connection }) =>
      this.onConnectionClosed(detail),
    )
    const onDiscovery = guard('peer discovery', ({ detail }: { readonly detail: PeerInfo }) => {
      if (detail.id.equals(node.peerId)) return
      for (const multiaddr of detail.multiaddrs) {
        const address = multiaddr.toString()
        if (isDialableDiscovery(address, trustedHosts)) this.discovered.add(address, detail.id.toString())
      }
    })
    node.addEventListener('connection:open', onOpen)
    node.addEventListener('connection:close', onClose)
    node.addEventListener('peer:discovery', onDiscovery)
    await startListening(node, protocols === PRIMARY_PROTOCOLS ? 'other primaries' : 'other workers', listen)
    this.dialer.start(peers.peers)
    this.dependencies.search?.start()
  }

  /** Addresses that an authority has signed. Whether there is one that is new, and that may be dialled. */
  onRecord(index: number, record: AddressRecord): boolean {
    const { peers } = this.dependencies
    const peer = peers.at(index)
    if (peer === undefined || !peers.mayBe(peer, record.peerId) || !this.records.take(index, record)) return false
    if (peer.connections.length === 0) this.dialer.found(peer)
    return true
  }

  /** Closes the connection of a peer that breaks the protocol or is silent; it is dialled again. */
  drop(peer: Peer, reason: string): void {
    for (const connection of [...peer.connections]) connection.abort(new Error(reason))
  }

  async close(): Promise<void> {
    this.closed = true
    this.dialer.close()
    this.peerLog.close()
    await this.dependencies.search?.close()
    this.dependencies.gate.close()
    await this.dependencies.node.stop()
  }

  /** Hosts that a user has named: they may be of this machine. */
  private trustedHosts(): Set<string> {
    const { peers, trustedHosts } = this.dependencies
    const listed = peers.peers.flatMap(({ address }) => (address === undefined ? [] : (hostOf(address) ?? [])))
    return new Set([...(trustedHosts ?? []), ...listed])
  }

  private async resolve(peer: Peer, address: string): Promise<readonly string[]> {
    const host = hostOf(address)
    if (host === undefined) return [address]
    return numericAddresses(address, await this.dependencies.names.resolve(host), address === peer.address)
  }

  private async dial(peer: Peer, address: string, timeoutMs: number): Promise<boolean> {
    const { node, log } = this.dependencies
    // Where the committee file names the PeerId, noise proves it before anything else is said.
    const named = peer.namedPeerId === undefined || address.includes('/p2p/') ? '' : `/p2p/${peer.namedPeerId}`
    const to = multiaddr(`${address}${named}`)
    const connection = await node.dial(to, { signal: AbortSignal.timeout(timeoutMs) }).catch((error: Error) => {
      log.debug(`Cannot reach ${shortName(peer.name)} at ${address}: ${error.message}`)
    })
    if (connection === undefined) return false
    await this.hellos.over(connection)
    return peer.connections.includes(connection)
  }

  private onConnection(connection: Connection): void {
    if (this.closed) return
    this.hellos.onOpened(connection)
  }

  private onVerified(connection: Connection, { index, record }: HelloGood): void {
    const { gate, peers } = this.dependencies
    const peer = peers.at(index)!
    gate.onVerified(connection, index)
    const older = [...peer.connections]
    const hasNewKey = peer.peerId !== undefined && peer.peerId !== record.peerId
    peer.peerId = record.peerId
    peer.helloTimeMs = Math.max(peer.helloTimeMs, record.timeMs)
    peer.ackLevel = record.ackLevel
    peer.refusal = undefined
    peer.learnedAddresses = dialableOfHello(record.addresses, {
      host: remoteHostOf(connection),
      committeeAddress: peer.address,
      peerId: record.peerId,
    })
    peers.add(peer, connection)
    this.dependencies.guards?.verified(connection, peer)
    this.hellos.settle(connection)
    if (older.length === 0) {
      this.peerLog.say('info', peer, `Connected to ${shortName(peer.name)} (${record.nodeVersion}, ${record.peerId})`)
      if (record.ackLevel < this.dependencies.ackLevel) {
        const text = `${shortName(peer.name)} has a lower ack_level than we have: its ACKs do not count here, give both the same`
        this.peerLog.say('warn', peer, text)
      }
    }
    this.handlers.onPeerConnected(peer, connection)
    for (const old of older) {
      // One PeerId per worker: the newer record holds.
      if (hasNewKey) old.abort(new Error('the authority has a newer network key'))
      else this.supersede(old, connection)
    }
  }

  /**
   * A peer has a newer connection. A side dials only when it has lost what it had, so an older connection that the same
   * side dialled is over. When both sides have dialled at once, the other side may hold on to either connection, so the
   * older one stays if it still answers.
   */
  private supersede(old: Connection, newer: Connection): void {
    if (old.status !== 'open') return
    const { peers } = this.dependencies
    const held = peers.of(old)?.connections.length ?? 0
    if (old.direction === newer.direction || held > CONNECTIONS_PER_AUTHORITY_MAX) {
      old.abort(new Error('replaced by a newer connection'))
    } else this.supervisor.watch('a probe', this.probe(old))
  }

  /** Closes a connection at whose other end nobody answers. */
  private async probe(connection: Connection): Promise<void> {
    try {
      const stream = await connection.newStream([PROBE_PROTOCOL], { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
      stream.abort(new Error('it was only to see whether there is an answer'))
    } catch (error) {
      // That the protocol is not supported is an answer.
      if ((error as Error).name !== 'UnsupportedProtocolError') connection.abort(error as Error)
    }
  }

  /** Says that we were refused: of a peer that does it often, or of strangers, not each time. */
  private sayRefusedUs({ remoteAddr, remotePeer }: Connection, detail: string): void {
    const { log, names, peers } = this.dependencies
    const address = remoteAddr.toString()
    const isAt = (peer: Peer): boolean =>
      peer.address !== undefined &&
      numericAddresses(peer.address, names.known(hostOf(peer.address) ?? ''), true).some((one) =>
        address.startsWith(`${one}/`),
      )
    const peer = peers.known(remotePeer.toString()) ?? peers.peers.find(isAt)
    const text = `${address} refuses our hello: ${detail}`
    if (peer === undefined) log.debug(text)
    else this.peerLog.say('warn', peer, text)
  }

  private onConnectionClosed(connection: Connection): void {
    this.hellos.settle(connection)
    const peer = this.dependencies.peers.remove(connection)
    if (peer === undefined || peer.connections.length > 0 || this.closed) return
    this.peerLog.say('warn', peer, `Lost ${shortName(peer.name)}`)
    this.handlers.onPeerLost(peer)
    this.dialer.lost(peer)
    this.dependencies.search?.wake()
  }

  private admitStream(protocol: PeerProtocol, stream: Stream, connection: Connection): void {
    const peer = this.dependencies.peers.of(connection)
    if (peer === undefined) this.hellos.refuse(connection, 'stream-before-hello', `a stream of ${protocol}`)
    else this.handlers.onStream(protocol, peer, stream)
  }
}
