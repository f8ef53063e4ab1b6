/**
 * The libp2p node of a worker: TCP, noise, yamux, and limits.
 */
import { isIPv6 } from 'node:net'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type TCPSocketOptions, tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import type { TcpAddress } from '../../shared/config/address.js'
import type { GcRelief } from '../lib/gc-relief.js'
import type { ConnectionGuards } from './connection-guards.js'
import type { Gate } from './gate.js'
import { leanNoise } from './lean-noise.js'
import { leanYamux } from './lean-yamux.js'
import {
  DIAL_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  NEGOTIATION_MS,
  SOCKET_BUFFER_BYTES,
  STREAMS_PER_CONNECTION_MAX,
} from './limits.js'
import type { PeerDiscovery } from './peer-discovery.js'

export interface Libp2pNodeOptions {
  /** Seed of the worker's network key, 32 bytes. */
  readonly networkKeySeed: Uint8Array
  /** Port 0 leaves the choice to the system. Without it, it listens nowhere. */
  readonly listen?: TcpAddress
  readonly authorities: number
  /** Passed through to libp2p: it only adds addresses to try. */
  readonly peerDiscovery?: PeerDiscovery
  /** Whether a PeerId may connect, before it has said who it is. */
  readonly admits: (peerId: PeerId) => boolean
  /** The door for connections that come in; without it, all may. */
  readonly gate?: Gate
  /** What each connection may cost; without it, anything. */
  readonly guards?: ConnectionGuards
  /** NEGOTIATION_MS unless given. */
  readonly negotiationMs?: number
  /** Told of what the connections allocate. */
  readonly gcRelief?: Pick<GcRelief, 'allocated'>
  /** The installed noise or yamux is not the one that is known here: it works, and costs more. Called once. */
  readonly onAsShipped?: () => void
}

/**
 * Options of each TCP socket. With Node's default of 16 KiB every ciphertext fills the socket's buffer, and each waits for
 * a `drain` that climbs through noise and yamux.
 */
const SOCKET_OPTIONS = { highWaterMark: SOCKET_BUFFER_BYTES } as TCPSocketOptions

export async function peerIdOfSeed(networkKeySeed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', networkKeySeed)).toString()
}

export async function createLibp2pNode(options: Libp2pNodeOptions): Promise<Libp2p> {
  const { gate, listen } = options
  const transport = tcp({ dialOpts: SOCKET_OPTIONS, listenOpts: SOCKET_OPTIONS })
  let told = false
  const onAsShipped = (): void => {
    if (!told) options.onAsShipped?.()
    told = true
  }
  return createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', options.networkKeySeed),
    start: false,
    addresses: {
      listen: listen === undefined ? [] : [`/${isIPv6(listen.host) ? 'ip6' : 'ip4'}/${listen.host}/tcp/${listen.port}`],
    },
    transports: [gate === undefined ? transport : gate.guard(transport)],
    connectionEncrypters: [leanNoise(onAsShipped, options.guards, options.gcRelief)],
    streamMuxers: [leanYamux(STREAMS_PER_CONNECTION_MAX, onAsShipped, options.guards)],
    ...(options.peerDiscovery && {
      peerDiscovery: [...options.peerDiscovery] as NonNullable<Libp2pOptions['peerDiscovery']>,
    }),
    connectionGater: {
      // Committee addresses are private ones as often as not.
      denyDialMultiaddr: () => false,
      // The earliest that is heard of a connection: the guard sees all that comes from it.
      denyInboundConnection: (connection) => {
        options.guards?.open(connection)
        return false
      },
      denyInboundEncryptedConnection: (peerId, connection) => {
        const admitted = options.admits(peerId)
        if (admitted) gate?.onProved(connection, peerId)
        else gate?.onRefused(connection)
        return !admitted
      },
    },
    // One late ping would abort a busy connection (js-libp2p#3463); a silent peer is noticed by its missing ACKs.
    connectionMonitor: { enabled: false },
    connectionManager: {
      // The gate and the table of peers bound connections, by who they are. libp2p would drop the newest, whoever it
      // is, and prune those without streams.
      maxConnections: Number.MAX_SAFE_INTEGER,
      maxIncomingPendingConnections: Number.MAX_SAFE_INTEGER,
      inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
      maxParallelDials: options.authorities + 8,
      dialTimeout: DIAL_TIMEOUT_MS,
      // We dial by ourselves, for ever.
      reconnectRetries: 0,
      inboundUpgradeTimeout: HELLO_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: options.negotiationMs ?? NEGOTIATION_MS,
    },
  })
}
