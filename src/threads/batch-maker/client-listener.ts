/**
 * The clients' TCP port: accepts connections up to a limit, hands their bytes to the BatchMaker, pauses them all when
 * there is no free slot, and closes those that break the protocol, with a counted reason.
 *
 * Source: asonnino/narwhal worker/src/worker.rs (`handle_clients_transactions`).
 */

import { createServer, type Server, type Socket } from 'node:net'
import type { Counters } from '../../shared/memory/counters.js'
import type { ClientListenerOptions } from '../../shared/memory/dialogue/batch-maker.js'
import type { ClientRefusal } from '../../shared/refusals.js'
import type { BatchMaker } from './batch-maker.js'
import { type CarryBudget, ClientConnection } from './client-connection.js'

export interface ClientListenerDependencies {
  readonly batchMaker: BatchMaker
  readonly counters: Counters<'batch-maker'>
  readonly onRefused: (reason: ClientRefusal, from: string, detail: string) => void
}

export class ClientListener {
  private readonly options: ClientListenerOptions
  private readonly dependencies: ClientListenerDependencies
  private readonly server: Server
  private readonly connections = new Set<ClientConnection>()
  private readonly carryBudget: CarryBudget = { bytes: 0 }
  /** Connections without a slot, in the order in which they were stopped. Bounded by the connections. */
  private blocked: ClientConnection[] = []

  constructor(options: ClientListenerOptions, dependencies: ClientListenerDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.server = createServer({ noDelay: true }, (socket) => this.accept(socket))
    this.server.maxConnections = options.connectionsMax
    this.server.on('drop', (dropped) => this.tooMany(dropped?.remoteAddress ?? 'unknown'))
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen({ host: this.options.host, port: this.options.port, backlog: 511 }, () => {
        this.server.off('error', reject)
        resolve()
      })
    })
  }

  /** A slot or a sequence came: those that waited go on, first come first served, until there is none again. */
  proceed(): void {
    const waiting = this.blocked
    this.blocked = []
    for (const [index, connection] of waiting.entries()) {
      connection.proceed()
      if (connection.isBlocked) {
        this.blocked.push(...waiting.slice(index + 1))
        return
      }
    }
  }

  /** Stops listening and closes every connection; what they had sent in whole frames has been taken. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve())
      for (const connection of this.connections) connection.socket.destroy()
    })
  }

  private accept(socket: Socket): void {
    const from = `${socket.remoteAddress}:${socket.remotePort}`
    // Those whose socket is gone and whose last bytes wait for a slot count as well.
    if (this.connections.size >= this.options.connectionsMax) {
      this.tooMany(from)
      socket.destroy()
      return
    }
    const connection = new ClientConnection(socket, {
      batchMaker: this.dependencies.batchMaker,
      carryBudget: this.carryBudget,
      onBlocked: (blocked) => {
        this.dependencies.counters.add('pauses')
        this.blocked.push(blocked)
      },
      onFinished: (finished) => this.forget(finished),
      onRefused: (refused, reason, detail) => {
        this.refused(reason, from, detail)
        refused.socket.destroy()
        refused.close()
        this.forget(refused)
      },
    })
    this.connections.add(connection)
    this.dependencies.counters.set('connections', this.connections.size)
    socket.on('data', (chunk: Buffer) => connection.onData(chunk))
    // Not as the argument of `setTimeout`, which would call it for the first silence only.
    socket.on('timeout', () => {
      // While it waited for us the silence was ours, and Node tells of silence once: the clock starts again.
      if (connection.isBlocked) socket.setTimeout(this.options.idleTimeoutMs)
      if (!connection.isInsideFrame || connection.isBlocked) return
      this.refused('frame-stalled', from, `no byte for ${this.options.idleTimeoutMs} ms in the middle of a frame`)
      socket.destroy()
    })
    socket.setTimeout(this.options.idleTimeoutMs)
    socket.on('end', () => {
      if (connection.isInsideFrame && !connection.isBlocked) {
        this.refused('frame-truncated', from, 'the connection ended in the middle of a frame')
      }
    })
    // A reset by the client is its own business: what it sent in whole frames is taken.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (connection.onSocketGone()) this.forget(connection)
    })
  }

  private forget(connection: ClientConnection): void {
    this.connections.delete(connection)
    this.dependencies.counters.set('connections', this.connections.size)
  }

  private tooMany(from: string): void {
    const { connectionsMax } = this.options
    this.refused('too-many-connections', from, `${connectionsMax} connections are open, at most ${connectionsMax}`)
  }

  private refused(reason: ClientRefusal, from: string, detail: string): void {
    this.dependencies.counters.add(reason)
    this.dependencies.onRefused(reason, from, detail)
  }
}
