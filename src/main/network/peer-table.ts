/**
 * The committee's workers with our id, or its primaries, as we know them: who they are, where to reach them, and by which connections.
 * The map between PublicKey and PeerId is learned from hellos and kept here.
 */
import type { Connection } from '@libp2p/interface'
import type { Committee } from '../../shared/config/committee.js'
import { shortName } from '../../shared/config/short-name.js'
import { ACK_LEVELS, type AckLevelCode } from '../../shared/wire/ack.js'
import type { PeerRole } from '../../shared/wire/hello.js'
import { nodePlace } from './node-address.js'

export interface Peer {
  /** The authority's index in the committee. */
  readonly index: number
  /** The authority's public key. */
  readonly publicKey: Uint8Array
  /** In base64, as logs name it. */
  readonly name: string
  readonly stake: number
  /** The PeerId that the committee file names, if it does. */
  readonly namedPeerId: string | undefined
  /** From the committee file, if it has one. */
  readonly address: string | undefined
  /** Of the addresses in the peer's newest hello, those at which it can be. */
  learnedAddresses: readonly string[]
  /** The PeerId of the newest hello, and the time that the hello says. */
  peerId: string | undefined
  helloTimeMs: number
  /** The level of its ACKs, as its newest hello says. */
  ackLevel: AckLevelCode | undefined
  /** Why the last hello, of those that are certain to be this peer's or to it, was refused; until one is good. */
  refusal: string | undefined
  /** Connections whose hello was good, the oldest first. At most CONNECTIONS_PER_AUTHORITY_MAX. */
  readonly connections: Connection[]
}

export class PeerTable {
  /** In the order of the committee, without ourselves. */
  readonly peers: readonly Peer[]
  /** Their authority indices. */
  readonly indices: readonly number[]
  private readonly byIndex: ReadonlyMap<number, Peer>
  private readonly byConnection = new Map<string, Peer>()

  constructor(committee: Committee, ownIndex: number, role: PeerRole) {
    this.peers = committee.authorities.flatMap((authority, index) => {
      if (index === ownIndex) return []
      const { address, peerId } = nodePlace(committee, index, role)
      return [
        {
          index,
          publicKey: authority.publicKey,
          name: authority.name,
          stake: authority.stake,
          namedPeerId: peerId,
          address: address?.multiaddr,
          learnedAddresses: [],
          peerId: undefined,
          helloTimeMs: 0,
          ackLevel: undefined,
          refusal: undefined,
          connections: [],
        },
      ]
    })
    this.indices = this.peers.map(({ index }) => index)
    this.byIndex = new Map(this.peers.map((peer) => [peer.index, peer]))
  }

  at(index: number): Peer | undefined {
    return this.byIndex.get(index)
  }

  /** Whose connection it is; undefined before its hello. */
  of(connection: Connection): Peer | undefined {
    return this.byConnection.get(connection.id)
  }

  add(peer: Peer, connection: Connection): void {
    peer.connections.push(connection)
    this.byConnection.set(connection.id, peer)
  }

  /** Whose connection it was. */
  remove(connection: Connection): Peer | undefined {
    const peer = this.byConnection.get(connection.id)
    if (peer === undefined) return undefined
    this.byConnection.delete(connection.id)
    peer.connections.splice(peer.connections.indexOf(connection), 1)
    return peer
  }

  /** Whether a PeerId may connect at all: any, unless the committee file names every worker's. */
  admits(peerId: string): boolean {
    return this.peers.some((peer) => peer.namedPeerId === undefined || peer.namedPeerId === peerId)
  }

  /** The peer whose PeerId this is known to be: named by the committee file, or by a hello that was good. */
  known(peerId: string): Peer | undefined {
    return this.peers.find((peer) => (peer.namedPeerId ?? peer.peerId) === peerId)
  }

  /** Whether a PeerId can be this peer's: the one that the committee file names, or one that is not known as another's. */
  mayBe(peer: Peer, peerId: string): boolean {
    if (peer.namedPeerId !== undefined) return peer.namedPeerId === peerId
    return !this.peers.some((other) => other !== peer && (other.namedPeerId === peerId || other.peerId === peerId))
  }

  /** Stake of the peers that are connected, and whose ACKs are of this level or a stronger one. */
  connectedStake(level: AckLevelCode): number {
    return this.peers.reduce((sum, peer) => sum + (isConnected(peer) && !isWeaker(peer, level) ? peer.stake : 0), 0)
  }

  /** The peer of this index, or its hello, was refused. */
  refused(index: number | undefined, why: string): void {
    const peer = index === undefined ? undefined : this.byIndex.get(index)
    if (peer !== undefined) peer.refusal = why
  }

  /** For people: what keeps a peer's ACKs from counting, where the settings of one of us are the cause. */
  problems(level: AckLevelCode): string[] {
    return this.peers.flatMap((peer) => {
      const worker = `the worker of ${shortName(peer.name)}`
      if (!isConnected(peer)) return peer.refusal === undefined ? [] : [`${worker} is not connected: ${peer.refusal}`]
      if (!isWeaker(peer, level)) return []
      const [theirs, ours] = [levelName(peer.ackLevel), levelName(level)]
      return [`${worker} has ack_level ${theirs}, ours is ${ours}: its ACKs do not count, give both the same`]
    })
  }
}

function isConnected(peer: Peer): boolean {
  return peer.connections.length > 0
}

function isWeaker(peer: Peer, level: AckLevelCode): boolean {
  return peer.ackLevel !== undefined && peer.ackLevel < level
}

function levelName(level: AckLevelCode | undefined): string {
  return level === ACK_LEVELS.durable ? 'durable' : 'stored'
}
