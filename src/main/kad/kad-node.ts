/**
 * A libp2p node of the distributed hash table: a node of its own beside that of a worker or a primary, with a key of its own.
 * So nobody who speaks the table's protocol shares a connection, a place or a budget with the committee. A worker's is
 * a client: it listens nowhere, and answers nothing.
 *
 * The packages of the table are loaded when the first such node is made.
 */
import { isIPv6 } from 'node:net'
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Libp2p } from '@libp2p/interface'
import type { KadDHT, SingleKadDHT } from '@libp2p/kad-dht'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { TcpAddress } from '../../shared/config/address.js'
import { ADDRESS_KEY_KIND } from '../../shared/wire/address-record.js'
import type { Supervisor } from '../lib/supervisor.js'
import { ConnectionGuards } from '../network/connection-guards.js'
import type { Gate } from '../network/gate.js'
import { leanNoise } from '../network/lean-noise.js'
import { leanYamux } from '../network/lean-yamux.js'
import { NEGOTIATION_MS, STREAMS_PER_CONNECTION_MAX } from '../network/limits.js'
import type { NetworkHandlers } from '../network/network.js'
import type { BoundedDatastore } from './bounded-datastore.js'
import type { DialBudget } from './dial-budget.js'
import {
  KAD_ANSWER_MS,
  KAD_CONNECTION_BYTES_MAX,
  KAD_CONNECTION_WORK_MAX,
  KAD_DIAL_TIMEOUT_MS,
  KAD_LOOKUPS_AT_A_TIME,
} from './limits.js'

/** The table of narval alone: other tables of libp2p have other protocols, and do not mix with it. */
export const KAD_PROTOCOL = '/narval/kad/1'

export interface KadNodeOptions {
  /** Seed of its libp2p key, 32 bytes; a new key if not given. */
  readonly seed?: Uint8Array | undefined
  /** Where it listens, and answers; nowhere if not given. */
  readonly server?: { readonly listen: TcpAddress; readonly gate: Gate } | undefined
}

export interface KadNodeDependencies {
  readonly datastore: BoundedDatastore
  readonly dials: DialBudget
  /** Throws at a record that is not to be kept or believed. */
  readonly takeRecord: (key: Uint8Array, value: Uint8Array) => void
  readonly onRefused: NetworkHandlers['onRefused']
  readonly supervisor: Supervisor
}

export interface KadNode {
  readonly node: Libp2p
  readonly table: KadDHT
}

/** The node is not started yet. */
export async function createKadNode(
  { seed, server }: KadNodeOptions,
  { datastore, dials, onRefused, supervisor, takeRecord }: KadNodeDependencies,
): Promise<KadNode> {
  const [{ identify }, { kadDHT }, { ping }] = await Promise.all([
    import('@libp2p/identify'),
    import('@libp2p/kad-dht'),
    import('@libp2p/ping'),
  ])
  const guards = new ConnectionGuards(
    { onRefused, onClosing: (connection) => server?.gate.onRefused(connection) },
    undefined,
    supervisor,
    { work: KAD_CONNECTION_WORK_MAX, bytes: KAD_CONNECTION_BYTES_MAX },
  )
  const transport = tcp()
  const timeouts = { minTimeout: KAD_ANSWER_MS, maxTimeout: KAD_ANSWER_MS }
  const node = await createLibp2p({
    privateKey: await (seed === undefined ? generateKeyPair('Ed25519') : generateKeyPairFromSeed('Ed25519', seed)),
    start: false,
    datastore,
    addresses: { listen: server === undefined ? [] : [listenAddress(server.listen)] },
    transports: [server === undefined ? transport : server.gate.guard(transport)],
    connectionEncrypters: [leanNoise(() => {}, guards)],
    streamMuxers: [leanYamux(STREAMS_PER_CONNECTION_MAX, () => {}, guards)],
    connectionGater: {
      denyDialMultiaddr: supervisor.guardCall(
        'a dial of the table',
        (address) => !dials.mayDial(address.toString(), performance.now()),
      ),
      filterMultiaddrForPeer: supervisor.guardCall('an address of the table', (_, address) =>
        dials.mayKeep(address.toString()),
      ),
      denyInboundConnection: (connection) => {
        guards.open(connection)
        return false
      },
      denyInboundEncryptedConnection: (peerId, connection) => {
        server?.gate.onProved(connection, peerId)
        return false
      },
    },
    connectionMonitor: { enabled: false },
    connectionManager: {
      // The gate bounds those that come in, the budget of dials the others.
      maxConnections: Number.MAX_SAFE_INTEGER,
      maxIncomingPendingConnections: Number.MAX_SAFE_INTEGER,
      inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
      dialTimeout: KAD_DIAL_TIMEOUT_MS,
      reconnectRetries: 0,
      inboundUpgradeTimeout: KAD_DIAL_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: NEGOTIATION_MS,
      outboundStreamProtocolNegotiationTimeout: KAD_ANSWER_MS,
    },
    services: {
      identify: identify({ timeout: KAD_ANSWER_MS }),
      ping: ping({ timeout: KAD_ANSWER_MS }),
      table: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: server === undefined,
        alpha: KAD_LOOKUPS_AT_A_TIME,
        initialQuerySelfInterval: 0,
        // No query waits for one that looks for ourselves: a node that lies could hold that one up. `untilKnown` waits.
        allowQueryWithZeroPeers: true,
        validators: {
          [ADDRESS_KEY_KIND]: async (key, value) => takeRecord(key, value),
          pk: async () => {
            throw new Error('public keys are not kept here')
          },
        },
        // Each record that is found is taken by the validator, so that it does not matter which one the table prefers.
        selectors: { [ADDRESS_KEY_KIND]: () => 0 },
        // A committee may well be in a private network; which addresses are taken is the budget's to say.
        peerInfoMapper: (peer) => peer,
        networkDialTimeout: timeouts,
        pingNewContactTimeout: timeouts,
        pingOldContactTimeout: timeouts,
        incomingMessageTimeout: KAD_ANSWER_MS,
        maxInboundStreams: KAD_LOOKUPS_AT_A_TIME * 2,
      }),
    },
  })
  return { node, table: node.services.table }
}

/** Nodes that the table counts as its own. */
export function knownTo(table: KadDHT): number {
  return (table as SingleKadDHT).routingTable.size
}

/** Waits until the table counts so many nodes as its own, or the time of an answer is over: others are slow, or no such nodes. */
export async function untilKnown(table: KadDHT, count: number, signal: AbortSignal): Promise<void> {
  const routingTable = (table as SingleKadDHT).routingTable as EventTarget & { readonly size: number }
  const ended = AbortSignal.any([signal, AbortSignal.timeout(KAD_ANSWER_MS)])
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (routingTable.size < count && !ended.aborted) return
      routingTable.removeEventListener('peer:add', look)
      resolve()
    }
    routingTable.addEventListener('peer:add', look)
    ended.addEventListener('abort', look)
    look()
  })
}

function listenAddress({ host, port }: TcpAddress): string {
  return `/${isIPv6(host) ? 'ip6' : 'ip4'}/${host}/tcp/${port}`
}
