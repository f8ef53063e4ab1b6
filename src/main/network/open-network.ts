/** Puts the network of a worker, or of a primary, together: the libp2p node, our hello, and what we believe of others'. */
import type { Libp2p, PeerId } from '@libp2p/interface'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import type { Parameters } from '../../shared/config/parameters.js'
import { PROTOCOL_VERSION } from '../../shared/constants.js'
import { signer } from '../../shared/crypto/ed25519.js'
import { NarvalError } from '../../shared/errors.js'
import { ACK_LEVELS } from '../../shared/wire/ack.js'
import { encodeHello, type PeerRole } from '../../shared/wire/hello.js'
import { checkHello } from '../../shared/wire/hello-check.js'
import { hostsOf } from '../kad/dial-budget.js'
import type { KadOptions } from '../kad/kad-options.js'
import { KadSearch } from '../kad/kad-search.js'
import type { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import type { Supervisor } from '../lib/supervisor.js'
import { NODE_VERSION } from '../lib/version.js'
import type { HostNames } from '../names/host-names.js'
import { ConnectionGuards } from './connection-guards.js'
import { Gate } from './gate.js'
import { createLibp2pNode } from './libp2p-node.js'
import { Network, type NetworkHandlers } from './network.js'
import { nodePlace } from './node-address.js'
import { ownAddresses } from './own-addresses.js'
import type { PeerDiscovery } from './peer-discovery.js'
import type { PeerTable } from './peer-table.js'
import { PRIMARY_PROTOCOLS, WORKER_PROTOCOLS } from './protocols.js'

export interface OpenNetworkOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly ownIndex: number
  /** Whose node it is. */
  readonly workerId: PeerRole
  /** What both ends of a connection must have alike; the committee's digest if not given. */
  readonly agreement?: Uint8Array
  /** Seed of its libp2p key, 32 bytes. */
  readonly networkKeySeed: Uint8Array
  /** The address that it listens on. */
  readonly bind: string
  readonly parameters: Pick<Parameters, 'batchBytesMax' | 'ackLevel'>
  readonly peerDiscovery?: PeerDiscovery | undefined
  /** Looks for addresses in a hash table too. */
  readonly kad?: KadOptions | undefined
}

export interface OpenNetworkDependencies {
  readonly peers: PeerTable
  readonly log: Logger
  readonly names: HostNames
  readonly supervisor: Supervisor
  readonly gcRelief: GcRelief
}

export interface OpenedNetwork {
  readonly network: Network
  readonly peerId: string
  /** Multiaddrs at which others may reach it, as it says in its hello. */
  readonly addresses: readonly string[]
  /** The port that it listens on. */
  readonly port: number
}

export async function openNetwork(
  options: OpenNetworkOptions,
  { gcRelief, log, names, peers, supervisor }: OpenNetworkDependencies,
  handlers: NetworkHandlers,
): Promise<OpenedNetwork> {
  const { bind, committee, keys, networkKeySeed, ownIndex, parameters, peerDiscovery, workerId } = options
  const { batchBytesMax } = parameters
  const ackLevel = ACK_LEVELS[parameters.ackLevel]
  const own = nodePlace(committee, ownIndex, workerId)
  // Without an address the system chooses the port, and others have to find it.
  const listen = { host: bind, port: own.address?.port ?? 0 }
  const digest = options.agreement ?? committeeDigest(committee)
  const sign = signer(keys.seed)
  const gate = Gate.of(peers, handlers, names, supervisor)
  const guards = new ConnectionGuards(
    { onRefused: handlers.onRefused, onClosing: (connection) => gate.onRefused(connection) },
    undefined,
    supervisor,
  )
  const node = await createLibp2pNode({
    guards,
    gcRelief,
    networkKeySeed,
    gate,
    listen,
    authorities: committee.size,
    ...(peerDiscovery && { peerDiscovery }),
    admits: supervisor.guardCall('admission', (peerId: PeerId) => {
      const admitted = peers.admits(peerId.toString())
      if (!admitted) handlers.onRefused('peer-id-unknown', peerId.toString(), 'the committee file names others')
      return admitted
    }),
    onAsShipped: () =>
      log.warn('The installed versions of noise and yamux are not those that narval knows: they cost more CPU'),
  })
  const peerId = node.peerId.toString()
  if (own.peerId !== undefined && own.peerId !== peerId) {
    throw new NarvalError(
      'ERR_NOT_IN_COMMITTEE',
      `the committee file names the peer id ${own.peerId} for this worker, its network key gives ${peerId}: correct one of them`,
    )
  }
  const bootstrapHosts = hostsOf(options.kad?.bootstrap ?? [])
  const addresses = (): string[] =>
    ownAddresses(own.address?.multiaddr, node.getMultiaddrs().map(String), bootstrapHosts)
  const search =
    options.kad &&
    new KadSearch(
      {
        committee,
        committeeDigest: committeeDigest(committee),
        ownIndex,
        role: workerId,
        peerId,
        sign,
        ...options.kad,
      },
      {
        log,
        names,
        supervisor,
        ownAddresses: addresses,
        missing: () => peers.peers.filter(({ connections }) => connections.length === 0).map(({ index }) => index),
        onRecord: (index, record) => network.onRecord(index, record),
        onRefused: handlers.onRefused,
      },
    )
  const ownHello = (): Uint8Array =>
    encodeHello(
      {
        protocolVersion: PROTOCOL_VERSION,
        authority: keys.publicKey,
        workerId,
        peerId,
        addresses: addresses(),
        committeeDigest: digest,
        timeMs: Date.now(),
        nodeVersion: NODE_VERSION,
        batchBytesMax,
        ackLevel,
      },
      sign,
    )
  const check = (hello: Uint8Array, connectionPeerId: string): ReturnType<typeof checkHello> =>
    checkHello(hello, {
      committee,
      committeeDigest: digest,
      workerId,
      connectionPeerId,
      ownAuthority: keys.publicKey,
      protocolVersion: PROTOCOL_VERSION,
      batchBytesMax,
      nowMs: Date.now(),
      namedPeerId: (index) => peers.at(index)?.namedPeerId,
      lastSeenTimeMs: (index) => {
        const peer = peers.at(index)
        return peer?.peerId === undefined ? undefined : { peerId: peer.peerId, timeMs: peer.helloTimeMs }
      },
    })
  const network: Network = new Network(
    {
      supervisor,
      node,
      protocols: workerId === 'primary' ? PRIMARY_PROTOCOLS : WORKER_PROTOCOLS,
      gate,
      guards,
      listen,
      names,
      peers,
      log,
      ownKey: keys.publicKey,
      ackLevel,
      ownHello,
      checkHello: check,
      trustedHosts: bootstrapHosts,
      ...(search && { search }),
    },
    handlers,
  )
  await network.start()
  return { network, peerId, addresses: addresses(), port: portOf(node) ?? listen.port }
}

function portOf(node: Libp2p): number | undefined {
  const [first] = node.getMultiaddrs()
  const port = first?.getComponents().find(({ name }) => name === 'tcp')?.value
  return port === undefined ? undefined : Number(port)
}
