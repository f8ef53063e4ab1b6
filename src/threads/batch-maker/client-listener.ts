/**
 * The clients' TCP port: accepts connections, hands their bytes to the BatchMaker, pauses them all when there is no free
 * slot, and closes those that break the protocol or take more than their share, with a counted reason.
 *
 * Who keeps a place and whose half frame gives way is decided by ClientPlaces and CarryBudget.
 *
 * Source: asonnino/narwhal worker/src/worker.rs (`handle_clients_transactions`).
 */
import { createServer, type Server, type Socket } from 'node:net'
import { CLIENT_SOCKETS_CLOSING_MAX } from '../../shared/config/limits.js'
import type { Counters } from '../../shared/memory/counters.js'
import type { ClientListenerOptions } from '../../shared/memory/dialogue/batch-maker.js'
import type { ClientRefusal } from '../../shared/refusals.js'
import { sourceOf } from '../../shared/wire/source-address.js'
import type { BatchMaker } from './batch-maker.js'
import { CarryBudget } from './carry-budget.js'
import { ClientConnection, type ClientConnectionDependencies } from './client-connection.js'
import { ClientPlaces } from './client-places.js'
import { HTTP_ANSWER } from './foreign-protocol.js'
import {
  CLIENT_CARRY_BYTES_MAX,
  CLIENT_KEEP_ALIVE_MS,
  CLIENT_LAGGING_AFTER_MS,
  CLIENT_LAGGING_BYTES_PER_S,
  CLIENT_MUTE_MS,
  CLIENT_RESTING_MS,
  CLIENT_SOURCES_LOOKED_AT,
  CLIENT_TICK_MS,
} from './limits.js'

export interface ClientListenerDependencies {
  readonly batchMaker: BatchMaker
  readonly counters: Counters<'batch-maker'>
  readonly onRefused: (reason: ClientRefusal, from: string, detail: string) => void
}

const nowMs = (): number => performance.now()

export class ClientListener {
  private readonly options: ClientListenerOptions
  private readonly dependencies: ClientListenerDependencies
  private readonly server: Server
  private readonly connections = new Set<ClientConnection>()
  private readonly places: ClientPlaces<ClientConnection>
  private readonly carryBudget: CarryBudget<ClientConnection>
  private readonly connectionDependencies: ClientConnectionDependencies
  /** Connections without a slot, in the order in which they were stopped. Bounded by the connections. */
  private withoutSlot: ClientConnection[] = []
  /** Connections whose half frames have no memory, in the same order. Bounded by the connections. */
  private withoutMemory: ClientConnection[] = []
  private roomTimer: NodeJS.Immediate | undefined
  private tickTimer: NodeJS.Timeout | undefined

  constructor(options: ClientListenerOptions, dependencies: ClientListenerDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.places = new ClientPlaces({
      placesMax: options.connectionsMax,
      muteMs: CLIENT_MUTE_MS,
      restingMs: CLIENT_RESTING_MS,
      sourcesLookedAt: CLIENT_SOURCES_LOOKED_AT,
    })
    this.carryBudget = new CarryBudget(
      {
        bytesMax: CLIENT_CARRY_BYTES_MAX,
        laggingAfterMs: CLIENT_LAGGING_AFTER_MS,
        laggingBytesPerS: CLIENT_LAGGING_BYTES_PER_S,
      },
      {
        onEvicted: (connection, why) => this.refuse(connection, 'frame-memory', why),
        onRoom: () => {
          this.roomTimer ??= setImmediate(() => this.proceedWithMemory())
        },
      },
    )
    this.connectionDependencies = {
      batchMaker: dependencies.batchMaker,
      carryBudget: this.carryBudget,
      nowMs,
      onSpoke: (connection, now) => this.places.spoke(connection, now),
      onBlocked: (connection, waitsFor) => this.onBlocked(connection, waitsFor),
      onFinished: (connection) => this.forget(connection),
      onRefused: (connection, reason, detail) => this.refuse(connection, reason, detail),
    }
    this.server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: CLIENT_KEEP_ALIVE_MS },
      (socket) => this.accept(socket),
    )
    this.server.maxConnections = options.connectionsMax + (options.socketsClosingMax ?? CLIENT_SOCKETS_CLOSING_MAX)
    this.server.on('drop', (dropped) => this.tooMany(dropped?.remoteAddress ?? 'unknown'))
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.on('error', (error) => {
        // After that, a connection could not be accepted: no descriptor is left for it.
        if (this.tickTimer === undefined) reject(error)
        else this.count('not-accepted', 'unknown', error.message)
      })
      this.server.listen({ host: this.options.host, port: this.options.port, backlog: 511 }, () => {
        this.tickTimer = setInterval(() => this.tick(), Math.min(CLIENT_TICK_MS, this.options.idleTimeoutMs / 4))
        resolve()
      })
    })
  }

  /** A slot or a sequence came: those that waited go on, first come first served, until there is none again. */
  proceed(): void {
    this.withoutSlot = this.goOn(this.withoutSlot, 'slot')
  }

  /** Stops listening and closes every connection; what they had sent in whole frames has been taken. */
  close(): Promise<void> {
    clearInterval(this.tickTimer)
    clearImmediate(this.roomTimer)
    return new Promise((resolve) => {
      this.server.close(() => resolve())
      for (const connection of this.connections) connection.socket.destroy()
    })
  }

  private accept(socket: Socket): void {
    const source = sourceOf(socket.remoteAddress)
    const connection = new ClientConnection(socket, source, this.connectionDependencies)
    // A reset by the client is its own business: what it sent in whole frames is taken.
    socket.on('error', () => {})
    const entry = this.places.enter(connection, source, nowMs())
    if (!entry.admitted) {
      this.tooMany(source)
      socket.destroy()
      return
    }
    if ('evicted' in entry) {
      const { evicted, why } = entry
      this.refuse(evicted, why, `all ${this.options.connectionsMax} places are taken, and one was needed for ${source}`)
    }
    this.connections.add(connection)
    this.dependencies.counters.set('connections', this.connections.size)
    socket.on('data', (chunk: Buffer) => connection.onData(chunk))
    socket.on('end', () => {
      if (connection.isInsideFrame && !connection.isBlocked) {
        this.count('frame-truncated', source, 'the connection ended in the middle of a frame')
      }
    })
    socket.on('close', () => {
      if (connection.onSocketGone()) this.forget(connection)
    })
  }

  private onBlocked(connection: ClientConnection, waitsFor: 'slot' | 'memory'): void {
    if (waitsFor === 'memory') this.withoutMemory.push(connection)
    else {
      this.dependencies.counters.add('pauses')
      this.places.hold(connection)
      this.withoutSlot.push(connection)
    }
  }

  private proceedWithMemory(): void {
    this.roomTimer = undefined
    this.withoutMemory = this.goOn(this.withoutMemory, 'memory')
  }

  /** Lets those go on that wait, until one has to wait for the same again; the result are those that still do. */
  private goOn(waiting: ClientConnection[], waitsFor: 'slot' | 'memory'): ClientConnection[] {
    const again: ClientConnection[] = []
    if (waitsFor === 'slot') this.withoutSlot = again
    else this.withoutMemory = again
    for (const [index, connection] of waiting.entries()) {
      if (connection.isClosed) continue
      this.places.release(connection, nowMs())
      connection.proceed()
      if (connection.waitsFor === waitsFor) return again.concat(waiting.slice(index + 1))
    }
    return again
  }

  private tick(): void {
    const now = nowMs()
    for (const connection of this.connections) connection.checkProgress(now, this.options.idleTimeoutMs)
    // A frame lags when time passes, and no event says so: hence a timer.
    if (this.withoutMemory.length > 0) this.proceedWithMemory()
  }

  private refuse(connection: ClientConnection, reason: ClientRefusal, detail: string): void {
    const { socket, source } = connection
    this.count(reason, `${socket.remoteAddress ?? source} port ${socket.remotePort}`, detail)
    connection.close()
    this.forget(connection)
    if (reason === 'http-request') socket.end(HTTP_ANSWER, 'latin1')
    if (reason === 'http-request') socket.destroySoon()
    else socket.destroy()
  }

  private forget(connection: ClientConnection): void {
    this.places.leave(connection)
    this.connections.delete(connection)
    this.dependencies.counters.set('connections', this.connections.size)
  }

  private tooMany(source: string): void {
    const { connectionsMax } = this.options
    this.count('too-many-connections', source, `${connectionsMax} connections are open, at most ${connectionsMax}`)
  }

  private count(reason: ClientRefusal, from: string, detail: string): void {
    this.dependencies.counters.add(reason)
    this.dependencies.onRefused(reason, from, detail)
  }
}
