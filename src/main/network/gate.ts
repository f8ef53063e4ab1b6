/**
 * The door for connections that come in. It stands between the TCP listener and libp2p, which would drop newcomers
 * without a word once as many connections as it allows have not got through their handshake. Here each gets a place
 * (admission.ts), libp2p sees it only when it has said something, and whoever leaves without a good hello is counted.
 *
 * libp2p's interface is enough for that: a transport hands each new connection to the `upgrader` that the listener was
 * created with, so the listener is created with one of ours, which passes on to libp2p's.
 */
import type { Connection, Listener, MultiaddrConnection, PeerId, Transport, Upgrader } from '@libp2p/interface'
import type { PeerRefusal } from '../../shared/refusals.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import type { HostNames } from '../names/host-names.js'
import { Admission, type Evicted, type Stage, type Ticket } from './admission.js'
import { hostOf } from './dialable.js'
import { ADMISSION_SWEEP_MS } from './limits.js'
import type { PeerTable } from './peer-table.js'

export interface GateDependencies {
  readonly admission: Admission
  readonly nowMs: () => number
  /** The member whose peer id this is known to be. */
  readonly memberOf: (peerId: string) => number | undefined
  /** Takes what we throw in libp2p's calls, which would close a connection and say nothing. */
  readonly supervisor?: Supervisor
}

export interface GateHandlers {
  /** A connection that came in has ended before a good hello, and why; `from` is its address. */
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void
}

/** A connection that came in and has no good hello yet. */
interface Guest {
  readonly ticket: Ticket
  readonly from: string
  /** Closes it at once: the socket's connection, and libp2p's when there is one. */
  closable: { abort(error: Error): void }
  /** Why it ends has been counted. */
  counted: boolean
}

type TransportFactory<Components> = (components: Components) => Transport

const EVICTED: Readonly<Record<Stage | 'member', PeerRefusal>> = {
  silent: 'evicted-silent',
  handshake: 'evicted-handshake',
  hello: 'evicted-hello',
  member: 'evicted-hello',
}

export class Gate {
  private readonly dependencies: GateDependencies
  private readonly handlers: GateHandlers
  private readonly supervisor: Supervisor
  private readonly guests = new Map<Ticket, Guest>()
  /** A connection of libp2p and that of its socket have the same `timeline`, and nothing else that is public. */
  private readonly byTimeline = new WeakMap<object, Guest>()
  /** Runs while there are guests. */
  private sweepTimer: NodeJS.Timeout | undefined
  private closed = false

  constructor(dependencies: GateDependencies, handlers: GateHandlers) {
    this.dependencies = dependencies
    this.handlers = handlers
    this.supervisor = dependencies.supervisor ?? unsupervised
  }

  /** The gate of a worker with these peers; where the committee file has names, places go to what they stand for. */
  static of(peers: PeerTable, handlers: GateHandlers, names: HostNames, supervisor: Supervisor): Gate {
    const members = peers.peers.flatMap(({ address, index }) => {
      const host = address === undefined ? undefined : hostOf(address)
      return host === undefined ? [] : [{ index, host }]
    })
    return Gate.with(members, (peerId) => peers.known(peerId)?.index, handlers, names, supervisor)
  }

  /** A gate where these members, by their hosts, have places of their own. */
  static with(
    members: readonly { readonly index: number; readonly host: string }[],
    memberOf: (peerId: string) => number | undefined,
    handlers: GateHandlers,
    names: HostNames,
    supervisor: Supervisor,
  ): Gate {
    const admission = new Admission({ members })
    for (const { host, index } of members) {
      const relist = (): void => admission.relist(index, names.trusted(host))
      // Somebody else may have asked for the name before, and nothing changes then.
      relist()
      names.watch([host], relist)
    }
    return new Gate({ admission, nowMs: () => performance.now(), memberOf, supervisor }, handlers)
  }

  /** The transport, with this gate in front of its listeners. */
  guard<Components>(factory: TransportFactory<Components>): TransportFactory<Components> {
    return (components) => {
      const transport = factory(components)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = (options): Listener => {
        const listener = createListener({ ...options, upgrader: this.inFrontOf(options.upgrader) })
        this.watchAccepts(listener)
        return listener
      }
      return transport
    }
  }

  /** Noise is done: the connection has proved this peer id. */
  onProved(connection: MultiaddrConnection, peerId: PeerId): void {
    this.supervisor.guardCall('admission', () => this.prove(connection, peerId))()
  }

  /** libp2p has made it a connection. */
  onOpened(connection: Connection): void {
    const guest = this.byTimeline.get(connection.timeline)
    if (guest !== undefined) guest.closable = connection
  }

  /** Its hello was good. It is nobody's guest any more. */
  onVerified(connection: Connection, member: number): void {
    const guest = this.byTimeline.get(connection.timeline)
    if (guest === undefined) return
    this.dependencies.admission.verify(guest.ticket, member)
    this.guests.delete(guest.ticket)
    guest.counted = true
  }

  /** Why it ends has been counted elsewhere. */
  onRefused(connection: Connection | MultiaddrConnection): void {
    const guest = this.byTimeline.get(connection.timeline)
    if (guest !== undefined) guest.counted = true
  }

  close(): void {
    this.closed = true
    clearInterval(this.sweepTimer)
  }

  private prove(connection: MultiaddrConnection, peerId: PeerId): void {
    const guest = this.byTimeline.get(connection.timeline)
    if (guest === undefined) return
    const { admission, memberOf } = this.dependencies
    const member = memberOf(peerId.toString())
    this.evict(member === undefined ? admission.advance(guest.ticket, 'hello') : admission.prove(guest.ticket, member))
  }

  /** Once it listens, its errors are of connections that could not be accepted. */
  private watchAccepts(listener: Listener): void {
    const { guard } = this.supervisor
    let listening = false
    const onListening = guard('the port for peers', () => {
      listening = true
    })
    const onError = guard('the port for peers', ({ detail }: { readonly detail: Error }) => {
      if (listening && !this.closed) this.handlers.onRefused('not-accepted', 'unknown', detail.message)
    })
    listener.addEventListener('listening', onListening)
    listener.addEventListener('error', onError)
  }

  private inFrontOf(upgrader: Upgrader): Upgrader {
    const { guardCall } = this.supervisor
    const arrive = guardCall('admission', (connection: MultiaddrConnection) => this.arrive(connection))
    const advance = guardCall('admission', ({ ticket }: Guest) =>
      this.evict(this.dependencies.admission.advance(ticket, 'handshake')),
    )
    return {
      upgradeInbound: async (connection, options) => {
        const guest = arrive(connection)
        await spoke(connection)
        advance(guest)
        await upgrader.upgradeInbound(connection, options)
      },
      upgradeOutbound: (connection, options) => upgrader.upgradeOutbound(connection, options),
      createInboundAbortSignal: (signal) => upgrader.createInboundAbortSignal(signal),
      getStreamMuxers: () => upgrader.getStreamMuxers(),
      getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    }
  }

  private arrive(connection: MultiaddrConnection): Guest {
    const { admission, nowMs } = this.dependencies
    const { ticket, evicted } = admission.arrive(remoteHostOf(connection) ?? '', nowMs())
    const guest: Guest = { ticket, from: connection.remoteAddr.toString(), closable: connection, counted: false }
    this.guests.set(ticket, guest)
    const sweep = this.supervisor.guard('admission', () => this.sweep())
    this.sweepTimer ??= setInterval(sweep, ADMISSION_SWEEP_MS)
    this.byTimeline.set(connection.timeline, guest)
    const onClose = this.supervisor.guard('admission', () => this.onClosed(guest, connection))
    connection.addEventListener('close', onClose)
    this.evict(evicted)
    return guest
  }

  private onClosed(guest: Guest, connection: MultiaddrConnection): void {
    // The peer may have ended its side and read nothing: what waits for it would keep the socket open for ever.
    const { socket } = connection as { socket?: { destroy?: () => void } }
    socket?.destroy?.()
    this.dependencies.admission.leave(guest.ticket)
    this.guests.delete(guest.ticket)
    this.count(guest, 'left-before-hello', 'it was closed before its hello')
  }

  private evict(evicted: Evicted | undefined): void {
    if (evicted === undefined) return
    const guest = this.guests.get(evicted.ticket)
    if (guest !== undefined) this.expel(guest, EVICTED[evicted.stage], 'a newer connection has its place')
  }

  private sweep(): void {
    if (this.guests.size === 0) {
      clearInterval(this.sweepTimer)
      this.sweepTimer = undefined
    }
    const { admission, nowMs } = this.dependencies
    for (const ticket of admission.overdue(nowMs())) {
      const guest = this.guests.get(ticket)
      if (guest !== undefined) this.expel(guest, 'hello-timeout', 'no hello in time')
    }
  }

  private expel(guest: Guest, reason: PeerRefusal, detail: string): void {
    this.count(guest, reason, detail)
    guest.closable.abort(new Error(reason))
  }

  private count(guest: Guest, reason: PeerRefusal, detail: string): void {
    if (!guest.counted && !this.closed) this.handlers.onRefused(reason, guest.from, detail)
    guest.counted = true
  }
}

/** The host at the other end of a connection; undefined if its address is not an IP address. */
export function remoteHostOf(connection: Connection | MultiaddrConnection): string | undefined {
  return connection.remoteAddr.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')?.value
}

/** Resolves once something has come, which is then there for whoever listens; rejects if the connection is closed. */
function spoke(connection: MultiaddrConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const onMessage = (event: { data: Parameters<MultiaddrConnection['unshift']>[0] }): void => {
      connection.removeEventListener('message', onMessage)
      connection.removeEventListener('close', onClose)
      try {
        connection.unshift(event.data)
        resolve()
      } catch (error) {
        reject(error)
      }
    }
    const onClose = (): void => reject(new Error('closed before it said anything'))
    if (connection.status !== 'open') onClose()
    connection.addEventListener('message', onMessage)
    connection.addEventListener('close', onClose)
  })
}
