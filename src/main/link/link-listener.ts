/**
 * The primary's port for its own workers in other processes, the committee's `worker_to_primary`: a libp2p node of its own,
 * to which only keys are admitted that follow from the authority's secret (`deriveLinkKeySeed`). So whoever is connected is
 * a worker of ours, by its id, and there is no hello.
 *
 * Strangers get no further than noise, and have places and a sum of work as on any other port of a node (gate.ts,
 * connection-guards.ts). Of each worker the newest link holds: an older one is of a process, or a machine, that is gone.
 */

import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { TcpAddress } from '../../shared/config/address.js'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import { deriveLinkKeySeed } from '../../shared/config/network-key.js'
import type { LinkRefusal, PeerRefusal } from '../../shared/refusals.js'
import { TokenBucket } from '../../shared/token-bucket.js'
import { decodeFromWorker, encodeFromPrimary, type FromWorker } from '../../shared/wire/link/messages.js'
import type { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { HostNames } from '../names/host-names.js'
import { ConnectionGuards } from '../network/connection-guards.js'
import { hostOf } from '../network/dialable.js'
import { Gate } from '../network/gate.js'
import { createLibp2pNode, peerIdOfSeed } from '../network/libp2p-node.js'
import { LINK_PROTOCOL } from '../network/protocols.js'
import { startListening } from '../network/start-listening.js'
import { LINK_BATCH_BYTES_MAX, LINK_ROOM_MS, LINK_WORK_PER_SECOND } from './limits.js'
import { LinkChannel, type LinkProblem } from './link-channel.js'
import { type AttachingLink, type ReadBatch, refusalOf, unexpected, WorkerSession } from './worker-session.js'

export interface LinkListenerOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly ownIndex: number
  /** Where it listens; port 0 leaves the choice to the system. */
  readonly listen: TcpAddress
}

export interface LinkListenerDependencies {
  /** That of this process. */
  readonly gcRelief: GcRelief
  /** By worker id. */
  readonly links: ReadonlyMap<number, AttachingLink>
  readonly log: Logger
  readonly names: HostNames
  readonly supervisor: Supervisor
}

export interface LinkListenerHandlers {
  /** Of a stranger, or of the connection of one of our workers. */
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void
  /** What one of our workers says. */
  readonly onWorkerRefused: (reason: LinkRefusal, workerId: number, detail: string) => void
}

/** A link of a worker: with a session once it has said `open`. */
interface Guest {
  readonly channel: LinkChannel
  session: WorkerSession | undefined
}

const PING = encodeFromPrimary({ type: 'ping' })

export class LinkListener {
  private readonly options: LinkListenerOptions
  private readonly dependencies: LinkListenerDependencies
  private readonly handlers: LinkListenerHandlers
  private readonly digest: Uint8Array
  /** Of each worker, by its PeerId. */
  private readonly workerIds = new Map<string, number>()
  /** The newest link of each worker. */
  private readonly guests = new Map<number, Guest>()
  /** What of earlier links of a worker is not over yet: a session is attached after it. */
  private readonly detaching = new Map<number, Promise<void>>()
  private node: Libp2p | undefined
  private gate: Gate | undefined
  private timer: NodeJS.Timeout | undefined
  private isClosed = false

  constructor(options: LinkListenerOptions, dependencies: LinkListenerDependencies, handlers: LinkListenerHandlers) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    this.digest = committeeDigest(options.committee)
  }

  /** Errors: `ERR_ADDRESS_IN_USE`, `ERR_ADDRESS_UNAVAILABLE`. */
  async listen(): Promise<void> {
    const { keys, listen } = this.options
    const { links, supervisor } = this.dependencies
    for (const workerId of links.keys()) {
      this.workerIds.set(await peerIdOfSeed(deriveLinkKeySeed(keys.seed, workerId)), workerId)
    }
    const gate = this.makeGate()
    const guards = new ConnectionGuards(
      { onRefused: this.handlers.onRefused, onClosing: (connection) => gate.onRefused(connection) },
      undefined,
      supervisor,
    )
    const node = await createLibp2pNode({
      networkKeySeed: deriveLinkKeySeed(keys.seed, 'primary'),
      listen,
      authorities: links.size,
      gate,
      guards,
      gcRelief: this.dependencies.gcRelief,
      admits: supervisor.guardCall('admission', (peerId: PeerId) => this.admits(peerId.toString())),
    })
    this.node = node
    this.gate = gate
    await node.handle(
      LINK_PROTOCOL,
      supervisor.guard('a link', (stream: Stream, connection: Connection) => this.onStream(stream, connection)),
      { maxInboundStreams: 2, maxOutboundStreams: 2 },
    )
    const onOpen = supervisor.guard('a connection', ({ detail: connection }: { readonly detail: Connection }) => {
      const workerId = this.workerIds.get(connection.remotePeer.toString())
      if (workerId === undefined) return
      gate.onVerified(connection, workerId)
      guards.verified(connection, { index: workerId, name: nameOf(workerId) }, workerBucket)
    })
    node.addEventListener('connection:open', onOpen)
    await startListening(node, 'our own workers', listen)
    this.timer = setInterval(
      supervisor.guard('the links', () => {
        for (const { session } of this.guests.values()) session?.tick()
      }),
      LINK_ROOM_MS,
    )
  }

  isConnected(workerId: number): boolean {
    return this.guests.get(workerId)?.session !== undefined
  }

  /** A batch that a worker has stored; undefined if it does not have it, or is not connected. */
  async read(workerId: number, digest: Uint8Array): Promise<ReadBatch | undefined> {
    return this.guests.get(workerId)?.session?.read(digest)
  }

  async close(): Promise<void> {
    this.isClosed = true
    clearInterval(this.timer)
    for (const { channel } of this.guests.values()) channel.close('the primary is closed')
    await Promise.all(this.detaching.values())
    this.gate?.close()
    await this.node?.stop()
  }

  /** Workers have places of their own, at the hosts at which the committee file has them. */
  private makeGate(): Gate {
    const { committee, ownIndex } = this.options
    const { names, supervisor } = this.dependencies
    const members = Array.from(
      committee.authority(ownIndex).workers,
      ([index, { primaryToWorker, workerToWorker }]) => ({
        index,
        host: primaryToWorker?.host ?? (workerToWorker && hostOf(workerToWorker.multiaddr)),
      }),
    ).filter((member): member is { index: number; host: string } => member.host !== undefined)
    const { onRefused } = this.handlers
    return Gate.with(members, (peerId) => this.workerIds.get(peerId), { onRefused }, names, supervisor)
  }

  private admits(peerId: string): boolean {
    if (this.workerIds.has(peerId)) return true
    this.handlers.onRefused('peer-id-unknown', peerId, 'it is none of our own workers')
    return false
  }

  private onStream(stream: Stream, connection: Connection): void {
    const workerId = this.workerIds.get(connection.remotePeer.toString())!
    if (this.isClosed) {
      stream.abort(new Error('the primary is closed'))
      return
    }
    const { supervisor } = this.dependencies
    const refuse = (reason: LinkRefusal, detail: string): void =>
      this.handlers.onWorkerRefused(reason, workerId, detail)
    const guest: Guest = {
      session: undefined,
      channel: new LinkChannel(
        { connection, stream, bytesMax: LINK_BATCH_BYTES_MAX, ping: PING },
        {
          onMessage: (bytes) => this.take(guest, workerId, decodeFromWorker(bytes, this.options.committee.size)),
          onRefused: refuse,
          onClosed: (why) => this.onClosed(guest, workerId, why),
        },
        supervisor,
      ),
    }
    const older = this.guests.get(workerId)
    this.guests.set(workerId, guest)
    older?.channel.refuse('link-replaced', 'a newer link of the same worker is there')
  }

  private take(guest: Guest, workerId: number, message: FromWorker): LinkProblem | undefined {
    const { session } = guest
    if (session !== undefined) return session.take(message)
    if (message.type === 'ping') return undefined
    if (message.type !== 'open') return unexpected(`${message.type} before open`)
    const refusal = refusalOf(message, { workerId, committeeDigest: this.digest })
    if (refusal !== undefined) {
      guest.channel.send(encodeFromPrimary({ type: 'refused', detail: refusal.detail }))
      this.handlers.onWorkerRefused(refusal.reason, workerId, refusal.detail)
      guest.channel.close(refusal.detail)
      return undefined
    }
    const { links, supervisor } = this.dependencies
    const { committee } = this.options
    const link = links.get(workerId)!
    guest.session = new WorkerSession(message, { committee, channel: guest.channel, link, supervisor })
    supervisor.watch('a link', this.attach(guest, workerId))
    return undefined
  }

  private async attach({ channel, session }: Guest, workerId: number): Promise<void> {
    await this.detaching.get(workerId)
    if (channel.isClosed) return
    session!.attach()
    this.dependencies.log.info(`Connected to our worker ${workerId}`)
  }

  private onClosed(guest: Guest, workerId: number, why: string): void {
    if (this.guests.get(workerId) === guest) this.guests.delete(workerId)
    const { session } = guest
    if (session === undefined) return
    if (!this.isClosed) this.dependencies.log.warn(`Lost our worker ${workerId}: ${why}`)
    const before = this.detaching.get(workerId)
    const over = Promise.all([before, session.end()]).then(() => {
      if (this.detaching.get(workerId) === over) this.detaching.delete(workerId)
    })
    this.detaching.set(workerId, over)
    this.dependencies.supervisor.watch('the end of a link', over)
  }
}

function nameOf(workerId: number): string {
  return `worker ${workerId}`
}

function workerBucket(): TokenBucket {
  return new TokenBucket(LINK_WORK_PER_SECOND, LINK_WORK_PER_SECOND)
}
