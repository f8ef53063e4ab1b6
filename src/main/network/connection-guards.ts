/** The guards of a node's connections, found by any layer of a connection, and what each authority may cost. */
import type { Connection, MultiaddrConnection } from '@libp2p/interface'
import type { TokenBucket } from '../../shared/token-bucket.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import { ConnectionGuard, type ConnectionGuardHandlers, type SecuredStream } from './connection-guard.js'
import type { Peer } from './peer-table.js'
import { peerBucket, type StrangerSum } from './work-budget.js'

export class ConnectionGuards {
  private readonly handlers: ConnectionGuardHandlers
  private readonly nowMs: () => number
  private readonly supervisor: Supervisor
  private readonly sum: StrangerSum | undefined
  /** By the socket's connection, and by noise's on top of it. */
  private readonly guards = new WeakMap<object, ConnectionGuard>()
  /** By index of the authority: at most as many as there are. */
  private readonly buckets = new Map<number, TokenBucket>()

  /** @param sum what a connection may cost before its hello; that of a hello if not given */
  constructor(
    handlers: ConnectionGuardHandlers,
    nowMs: () => number = () => performance.now(),
    supervisor: Supervisor = unsupervised,
    sum?: StrangerSum,
  ) {
    this.sum = sum
    this.supervisor = supervisor
    this.handlers = handlers
    this.nowMs = nowMs
    // libp2p calls it, and would take what it throws for a fault of the connection.
    this.open = supervisor.guardCall('the guard of a connection', this.open.bind(this))
  }

  /** A socket is connected: its guard, now or from before. */
  open(connection: MultiaddrConnection): ConnectionGuard {
    let guard = this.guards.get(connection)
    if (guard === undefined) {
      guard = new ConnectionGuard(connection, this.handlers, this.nowMs, this.supervisor, this.sum)
      this.guards.set(connection, guard)
    }
    return guard
  }

  secure(guard: ConnectionGuard, secured: SecuredStream): void {
    guard.secure(secured)
    this.guards.set(secured, guard)
  }

  /** The guard of the connection that this layer belongs to. */
  of(layer: object): ConnectionGuard | undefined {
    return this.guards.get(layer)
  }

  /**
   * The hello is over.
   *
   * @param fresh what the peer's connections may cost from now on, if it has none yet
   */
  verified(connection: Connection, peer: Pick<Peer, 'index' | 'name'>, fresh: () => TokenBucket = peerBucket): void {
    const { maConn } = connection as unknown as { maConn?: object }
    let bucket = this.buckets.get(peer.index)
    if (bucket === undefined) {
      bucket = fresh()
      this.buckets.set(peer.index, bucket)
    }
    if (maConn !== undefined) this.guards.get(maConn)?.verified(peer.name, bucket)
  }
}
