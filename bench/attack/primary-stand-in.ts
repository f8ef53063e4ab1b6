/**
 * Stands in for an authority's primary: takes its workers' reports, and sends them Cleanup as rounds would.
 *
 * Like the reference's primary it never answers on the socket that reports come in on: a worker must not wait for it.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TcpAddress } from '../../src/shared/config/address.js'
import {
  decodeWorkerPrimaryMessage,
  encodePrimaryWorkerMessage,
  type WorkerPrimaryMessage,
} from '../../src/shared/wire/primary-messages.js'
import { encodeFrame, FrameReader } from '../../src/shared/wire/reference-frame.js'

export interface PrimaryStandInOptions {
  /** Where reports come in. */
  readonly workerToPrimary: TcpAddress
  /** Where Cleanup goes, to each of the authority's workers. */
  readonly primaryToWorkers: readonly TcpAddress[]
  readonly onMessage: (message: WorkerPrimaryMessage) => void
  /** A worker sent what is no message: a bug, since the workers are our own. */
  readonly onProblem: (error: Error) => void
}

export class PrimaryStandIn {
  private readonly options: PrimaryStandInOptions
  private readonly server: Server
  private readonly connections = new Set<Socket>()
  private readonly links: (Socket | undefined)[]

  constructor(options: PrimaryStandInOptions) {
    this.options = options
    this.links = options.primaryToWorkers.map(() => undefined)
    this.server = createServer((socket) => this.accept(socket))
  }

  async listen(): Promise<void> {
    const { host, port } = this.options.workerToPrimary
    this.server.listen(port, host)
    await once(this.server, 'listening')
  }

  private accept(socket: Socket): void {
    const reader = new FrameReader()
    this.connections.add(socket)
    socket.on('close', () => this.connections.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk, (payload) => this.options.onMessage(decodeWorkerPrimaryMessage(payload)))
      } catch (error) {
        socket.destroy()
        this.options.onProblem(error as Error)
      }
    })
  }

  /** Tells the workers that this round is committed. A worker that cannot be reached gets a later round. */
  cleanup(round: bigint): void {
    const frame = encodeFrame(encodePrimaryWorkerMessage({ type: 'Cleanup', round }))
    for (const [index, address] of this.options.primaryToWorkers.entries()) {
      const link = this.links[index] ?? this.dial(index, address)
      // A worker that does not read gets no queue of rounds: only the last one matters.
      if (link.writableLength === 0) link.write(frame)
    }
  }

  private dial(index: number, address: TcpAddress): Socket {
    const socket = connect(address.port, address.host)
    this.links[index] = socket
    socket.resume()
    socket.on('error', () => {})
    socket.on('close', () => {
      this.links[index] = undefined
    })
    return socket
  }

  async close(): Promise<void> {
    for (const socket of [...this.connections, ...this.links]) socket?.destroy()
    if (!this.server.listening) return
    this.server.close()
    await once(this.server, 'close')
  }
}
