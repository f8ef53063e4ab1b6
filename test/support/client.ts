/** Clients of a worker: they send numbered transactions over TCP and keep account of them. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { transactionOf } from './transactions.js'

/** Numbers for all clients of a test file, so that no two transactions are alike. */
let nextNumber = 1

export class TestClient {
  /** Numbers of the transactions that were sent, in order. */
  readonly sent: number[] = []
  private readonly socket: Socket

  private constructor(socket: Socket) {
    this.socket = socket
    socket.resume()
    socket.on('error', () => {})
  }

  static async connect(port: number): Promise<TestClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    return new TestClient(socket)
  }

  get isConnected(): boolean {
    return !this.socket.destroyed
  }

  /** Sends `count` transactions at once; resolves when the kernel took them, false if the connection is gone. */
  async send(count: number, bytes: number): Promise<boolean> {
    const frames: Uint8Array[] = []
    for (let index = 0; index < count; index += 1) {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes)
      frames.push(length, transactionOf(nextNumber, bytes))
      this.sent.push(nextNumber)
      nextNumber += 1
    }
    return new Promise((resolve) => this.socket.write(Buffer.concat(frames), (error) => resolve(!error)))
  }

  /** Ends the connection once everything is out; resolves when the worker has closed it too. */
  async end(): Promise<void> {
    if (this.socket.destroyed) return
    const closed = once(this.socket, 'close')
    this.socket.end()
    await closed
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** Steady load on one worker until `stop`; what the worker is, a new connection is made whenever the last one is gone. */
export class TestLoad {
  readonly sent: number[] = []
  private readonly port: number
  private readonly bytes: number
  private readonly perTick: number
  private running = true
  private readonly done: Promise<void>

  /** @param perTick transactions every 20 ms */
  constructor(port: number, perTick: number, bytes: number) {
    this.port = port
    this.perTick = perTick
    this.bytes = bytes
    this.done = this.run()
  }

  async stop(): Promise<void> {
    this.running = false
    await this.done
  }

  private async run(): Promise<void> {
    while (this.running) {
      let client: TestClient
      try {
        client = await TestClient.connect(this.port)
      } catch {
        await sleep(50)
        continue
      }
      while (this.running && client.isConnected) {
        // A worker that has no free slot does not read: that must not keep the load from being stopped.
        const taken = client.send(this.perTick, this.bytes)
        while (this.running && !(await Promise.race([taken.then(() => true), sleep(20, false)])));
        await sleep(20)
      }
      this.sent.push(...client.sent)
      await Promise.race([client.end(), sleep(1000)])
      client.destroy()
    }
  }
}
