/**
 * Stands in for an authority's primary: takes its worker's reports over real TCP and sends it the primary's messages,
 * both in the reference's encoding. Like the reference's primary it never answers on the socket that reports come in on.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import {
  decodeWorkerPrimaryMessage,
  encodePrimaryWorkerMessage,
  type PrimaryWorkerMessage,
  type WorkerPrimaryMessage,
} from '../../src/shared/wire/primary-messages.js'
import { encodeFrame, FrameReader } from '../../src/shared/wire/reference-frame.js'

export type ReportType = WorkerPrimaryMessage['type']

export class FakePrimary {
  /** How often each digest (base64) was reported, in the order of the first reports. */
  readonly own = new Map<string, number>()
  readonly others = new Map<string, number>()
  /** What came in that is no report: always a bug of the worker's. */
  readonly problems: Error[] = []
  private readonly reportsPort: number
  private readonly workerPort: number
  private readonly connections = new Set<Socket>()
  private readonly links = new Map<string, Socket>()
  private server: Server | undefined

  /**
   * @param reportsPort the committee's `worker_to_primary`
   * @param workerPort the committee's `primary_to_worker`
   */
  constructor(reportsPort: number, workerPort: number) {
    this.reportsPort = reportsPort
    this.workerPort = workerPort
  }

  async open(): Promise<void> {
    this.server = createServer((socket) => this.accept(socket))
    this.server.listen(this.reportsPort, '127.0.0.1')
    await once(this.server, 'listening')
  }

  /** Goes away, with its connections, until it is opened again. */
  async close(): Promise<void> {
    const { server } = this
    this.server = undefined
    for (const socket of [...this.connections, ...this.links.values()]) socket.destroy()
    this.links.clear()
    if (server === undefined) return
    server.close()
    await once(server, 'close')
  }

  /**
   * Sends the worker a message; resolves when the kernel took it.
   *
   * @param from the address to send from: 127.0.0.1 is our own primary's, any other 127.x.y.z another authority's
   */
  async send(message: PrimaryWorkerMessage, from = '127.0.0.1'): Promise<void> {
    let link = this.links.get(from)
    if (link === undefined || link.destroyed) {
      link = connect({ host: '127.0.0.1', port: this.workerPort, localAddress: from })
      link.resume()
      this.links.set(from, link)
      await once(link, 'connect')
      link.on('error', () => {})
    }
    const socket = link
    await new Promise<void>((resolve, reject) => {
      socket.write(encodeFrame(encodePrimaryWorkerMessage(message)), (error) => (error ? reject(error) : resolve()))
    })
  }

  private accept(socket: Socket): void {
    const reader = new FrameReader()
    this.connections.add(socket)
    socket.on('close', () => this.connections.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      try {
        reader.push(chunk, (payload) => this.take(decodeWorkerPrimaryMessage(payload)))
      } catch (error) {
        this.problems.push(error as Error)
        socket.destroy()
      }
    })
  }

  private take({ type, digest, workerId }: WorkerPrimaryMessage): void {
    if (workerId !== 0) this.problems.push(new Error(`a report of worker ${workerId}`))
    const reports = type === 'OurBatch' ? this.own : this.others
    const name = Buffer.from(digest).toString('base64')
    reports.set(name, (reports.get(name) ?? 0) + 1)
  }
}
