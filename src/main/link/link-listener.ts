/**
 * The primary's port for its own workers in other processes, the committee's `worker_to_primary`: a libp2p node of its own,
 * to which only keys are admitted that follow from the authority's secret (`deriveLinkKeySeed`). So whoever is connected is
 * a worker of ours, by its id, and there is no hello.
 *
 * Strangers get no further than noise, and have places and a sum of work as on any other port of a node (gate.ts,
 * connection-guards.ts); so has one of our workers until it has said a good `open`. Of each worker one process has the link
 * (link-place.ts), and one more may wait for it.
 */
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { TcpAddress } from '../../shared/config/address.js'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import { deriveLinkKeySeed } from '../../shared/config/network-key.js'
import type { LinkRefusal, PeerRefusal } from '../../shared/refusals.js'
import { TokenBucket } from '../../shared/token-bucket.js'
import { decodeFromWorker, encodeFromPrimary, type FromWorker, type LinkOpen } from '../../shared/wire/link/messages.js'
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
import { LinkPlace } from './link-place.js'
import { type LinkState, NO_LINK } from './link-state.js'
import type { ReadBatch, ReadFor } from './reads-waiting.js'
import { type AttachingLink, refusalOf, unexpected, WorkerSession } from './worker-session.js'

export interface LinkListenerOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly ownIndex: number
  /** Where it listens; port 0 leaves the choice to the system. */
  readonly listen: TcpAddress
  /** Of each link: LINK_SILENCE_MS unless given. */
  readonly silenceMs?: number
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

/** A link of a worker. */
interface Guest {
  readonly workerId: number
  readonly connection: Connection
  readonly channel: LinkChannel
  /** What it has said, and was good. */
  open: LinkOpen | undefined
  /** Once it has the place of its worker. */
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
  /** All links: one on a connection, and of connections before a good `open` as many as the gate lets in. */
  private readonly guests = new Set<Guest>()
  /** Who has the link of each worker. */
  private readonly places: ReadonlyMap<number, LinkPlace<Guest>>
  /** What of earlier links of a worker is not over yet: a session is attached after it. */
  private readonly detaching = new Map<number, Promise<void>>()
  private node: Libp2p | undefined
  private gate: Gate | undefined
  private guards: ConnectionGuards | undefined
  private timer: NodeJS.Timeout | undefined
  private isClosed = false

  constructor(options: LinkListenerOptions, dependencies: LinkListenerDependencies, handlers: LinkListenerHandlers) {
    this.options = options
    this.dependencies = dependencies
    this.handlers = handlers
    this.digest = committeeDigest(options.committee)
    this.places = new Map(Array.from(dependencies.links.keys(), (id) => [id, new LinkPlace()]))
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
    this.guards = guards
    await node.handle(
      LINK_PROTOCOL,
      supervisor.guard('a link', (stream: Stream, connection: Connection) => this.onStream(stream, connection)),
      { maxInboundStreams: 2, maxOutboundStreams: 2 },
    )
    await startListening(node, 'our own workers', listen)
    this.timer = setInterval(
      supervisor.guard('the links', () => {
        for (const { session } of this.guests) session?.tick()
      }),
      LINK_ROOM_MS,
    )
  }

  /** The link to a worker, now. */
  state(workerId: number): LinkState {
    return this.sessionOf(workerId)?.state ?? NO_LINK
  }

  /**
   * A batch that a worker has stored; undefined if it does not have it, or is not connected. Rejects with `ERR_BUSY` if as
   * many reads wait as may.
   */
  async read(
    workerId: number,
    digest: Uint8Array,
    by: ReadFor = 'call',
    signal?: AbortSignal,
  ): Promise<ReadBatch | undefined> {
    return this.sessionOf(workerId)?.read(digest, by, signal)
  }

  /** The first commit whose batches this worker keeps, as far as it has said. */
  firstKept(workerId: number): number {
    return this.sessionOf(workerId)?.firstKept ?? 0
  }

  async close(): Promise<void> {
    this.isClosed = true
    clearInterval(this.timer)
    for (const { channel } of [...this.guests]) channel.close('the primary is closed')
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

  private sessionOf(workerId: number): WorkerSession | undefined {
    return this.places.get(workerId)?.holder?.session
  }

  private onStream(stream: Stream, connection: Connection): void {
    const workerId = this.workerIds.get(connection.remotePeer.toString())!
    if (this.isClosed) {
      stream.abort(new Error('the primary is closed'))
      return
    }
    const second = [...this.guests].find((guest) => guest.connection === connection)
    if (second !== undefined) {
      second.channel.refuse('link-unexpected', 'a second link on one connection')
      return
    }
    const { supervisor } = this.dependencies
    const { silenceMs } = this.options
    const guest: Guest = {
      workerId,
      connection,
      open: undefined,
      session: undefined,
      channel: new LinkChannel(
        { connection, stream, bytesMax: LINK_BATCH_BYTES_MAX, ping: PING, ...(silenceMs && { silenceMs }) },
        {
          onMessage: (bytes) => this.take(guest, decodeFromWorker(bytes, this.options.committee.size)),
          onRefused: (reason, detail) => this.handlers.onWorkerRefused(reason, workerId, detail),
          onClosed: (why) => this.onClosed(guest, why),
        },
        supervisor,
      ),
    }
    this.guests.add(guest)
  }

  private take(guest: Guest, message: FromWorker): LinkProblem | undefined {
    const { open, session, workerId } = guest
    if (session !== undefined) {
      const waiting = this.places.get(workerId)!.heard(guest, performance.now())
      if (waiting !== undefined) this.turnAway(waiting, 'already-linked', occupied(guest))
      return session.take(message)
    }
    if (message.type === 'ping') return undefined
    if (open !== undefined) return unexpected(`${message.type} before opened`)
    if (message.type !== 'open') return unexpected(`${message.type} before open`)
    const refusal = refusalOf(message, { workerId, committeeDigest: this.digest })
    if (refusal === undefined) this.admit(guest, message)
    else this.turnAway(guest, refusal.reason, refusal.detail)
    return undefined
  }

  /** It is our worker. It has the link, or waits to see whether who has it is there. */
  private admit(guest: Guest, open: LinkOpen): void {
    const { connection, workerId } = guest
    guest.open = open
    this.gate!.onVerified(connection, workerId)
    this.guards!.verified(connection, { index: workerId, name: nameOf(workerId) }, workerBucket)
    const { isHolder, replaced } = this.places.get(workerId)!.come(guest, performance.now())
    replaced?.channel.refuse('link-replaced', 'a newer link of the same worker waits')
    if (isHolder) this.begin(guest, open)
  }

  private begin(guest: Guest, open: LinkOpen): void {
    const { links, supervisor } = this.dependencies
    const { committee } = this.options
    const { channel, workerId } = guest
    guest.session = new WorkerSession(open, { committee, channel, link: links.get(workerId)!, supervisor })
    supervisor.watch('a link', this.attach(guest, guest.session))
  }

  private async attach({ channel, workerId }: Guest, session: WorkerSession): Promise<void> {
    await this.detaching.get(workerId)
    if (channel.isClosed) return
    session.attach()
    this.dependencies.log.info(`Connected to our worker ${workerId}`)
  }

  /** Tells it why, for its operator. */
  private turnAway({ channel, workerId }: Guest, reason: LinkRefusal, detail: string): void {
    channel.send(encodeFromPrimary({ type: 'refused', detail }))
    this.handlers.onWorkerRefused(reason, workerId, detail)
    channel.close(detail)
  }

  private onClosed(guest: Guest, why: string): void {
    const { session, workerId } = guest
    this.guests.delete(guest)
    if (session !== undefined) this.detach(session, workerId, why)
    const next = this.places.get(workerId)!.left(guest)
    if (next !== undefined) this.begin(next, next.open!)
  }

  private detach(session: WorkerSession, workerId: number, why: string): void {
    if (!this.isClosed) this.dependencies.log.warn(`Lost our worker ${workerId}: ${why}`)
    const before = this.detaching.get(workerId)
    const over = Promise.all([before, session.end()]).then(() => {
      if (this.detaching.get(workerId) === over) this.detaching.delete(workerId)
    })
    this.detaching.set(workerId, over)
    this.dependencies.supervisor.watch('the end of a link', over)
  }
}

/** What the operator of a second process reads. */
function occupied({ connection, session, workerId }: Guest): string {
  const since = new Date(session!.state.sinceMs!).toISOString()
  return (
    `already-linked: another process runs as worker ${workerId} with the same keys, since ${since}, at ` +
    `${connection.remoteAddr}: end one of the two, as a worker is one process with one store`
  )
}

function nameOf(workerId: number): string {
  return `worker ${workerId}`
}

function workerBucket(): TokenBucket {
  return new TokenBucket(LINK_WORK_PER_SECOND, LINK_WORK_PER_SECOND)
}
