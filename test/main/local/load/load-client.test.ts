/** Runs in pairs: a client, and no node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, Socket } from 'node:net'
import * as fc from 'fast-check'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Logger } from '../../../../src/main/lib/log.js'
import { BurstBuffer, burstCount, burstCountMax } from '../../../../src/main/local/load/burst.js'
import { type LoadClientOptions, runLoadClient } from '../../../../src/main/local/load/load-client.js'
import { sampleNumber, writeClientTransaction } from '../../../../src/shared/wire/client-transaction.js'
import { FrameReader } from '../../../../src/shared/wire/reference-frame.js'
import vectors from '../../../vectors/reference.json' with { type: 'json' }

function frames(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  const reader = new FrameReader()
  reader.push(bytes, (payload) => found.push(new Uint8Array(payload)))
  expect(reader.partialBytes).toBe(0)
  return found
}

describe('bursts', () => {
  it('after whole seconds exactly the rate has been sent, whatever it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 50 }), (rate, seconds) => {
        let sent = 0
        for (let tick = 0; tick < seconds * 20; tick++) sent += burstCount(tick, rate)
        return sent === rate * seconds
      }),
    )
  })

  it('no burst is longer than the buffer, and none differs from another by more than one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.nat(1_000_000), (rate, tick) => {
        const count = burstCount(tick, rate)
        return count <= burstCountMax(rate) && count >= burstCountMax(rate) - 1
      }),
    )
  })

  it('a rate of 7 sends seven transactions a second, one to a burst', () => {
    const counts = Array.from({ length: 20 }, (_, tick) => burstCount(tick, 7))
    expect(counts.filter((count) => count === 1)).toHaveLength(7)
    expect(counts.filter((count) => count === 0)).toHaveLength(13)
  })

  it("transactions are the reference's, to the byte", () => {
    const burst = new BurstBuffer(20, 16, 0n)
    expect(Buffer.from(frames(burst.fill(1, 7))[0]!).toString('hex')).toBe(
      vectors.client_transactions.sample_7_16_bytes,
    )
    const standard = new BurstBuffer(40, 16, 0x0123456789abcdeen)
    expect(Buffer.from(frames(standard.fill(2, 0))[1]!).toString('hex')).toBe(
      vectors.client_transactions.standard_16_bytes,
    )
  })

  it('a burst has one sample at counter mod burst; the others are numbered upwards, over the 32-bit edge and from burst to burst', () => {
    const start = 0xffff_fffdn
    const burst = new BurstBuffer(100, 40, start)
    let next = start
    for (const [sample, count] of [
      [0, 5],
      [1, 5],
      [7, 5],
      [8, 3],
      [9, 5],
    ] as const) {
      const expected = Array.from({ length: count }, (_, position) => {
        const transaction = new Uint8Array(40)
        if (position === sample % count) writeClientTransaction(transaction, 'sample', BigInt(sample))
        else writeClientTransaction(transaction, 'standard', ++next)
        return transaction
      })
      expect(frames(burst.fill(count, sample))).toEqual(expected)
    }
  })

  it('the counter of standard transactions wraps at 2^64', () => {
    const burst = new BurstBuffer(40, 9, 2n ** 64n - 1n)
    expect(Buffer.from(frames(burst.fill(2, 0))[1]!).toString('hex')).toBe('010000000000000000')
  })
})

/** Takes the place of a worker: counts frames, and reads only while it is told to. */
class Sink {
  readonly server: Server
  readonly sockets: Socket[] = []
  transactions = 0
  samples: number[] = []
  sizes = new Set<number>()
  partialBytes = 0
  isReading = true

  constructor() {
    this.server = createServer((socket) => {
      const reader = new FrameReader()
      this.sockets.push(socket)
      if (!this.isReading) socket.pause()
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        reader.push(chunk, (payload) => {
          this.transactions += 1
          this.sizes.add(payload.length)
          const sample = sampleNumber(payload)
          if (sample !== undefined) this.samples.push(Number(sample))
        })
        this.partialBytes = reader.partialBytes
      })
    })
  }

  async listen(port = 0): Promise<{ host: string; port: number }> {
    this.server.listen(port, '127.0.0.1')
    await once(this.server, 'listening')
    return { host: '127.0.0.1', port: (this.server.address() as AddressInfo).port }
  }

  read(): void {
    this.isReading = true
    for (const socket of this.sockets) socket.resume()
  }

  async ended(): Promise<void> {
    await until(() => this.sockets.every((socket) => socket.readableEnded || socket.destroyed))
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

class Lines implements Logger {
  readonly lines: string[] = []
  error(text: string): void {
    this.lines.push(text)
  }
  warn = this.error
  info = this.error
  debug = this.error
  trace = this.error
  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line)).length
  }
}

describe('load client', () => {
  const sinks: Sink[] = []
  const stops: AbortController[] = []

  afterEach(() => {
    for (const stop of stops.splice(0)) stop.abort()
    for (const sink of sinks.splice(0)) sink.close()
  })

  function sink(): Sink {
    const made = new Sink()
    sinks.push(made)
    return made
  }

  function start(options: Pick<LoadClientOptions, 'target'> & Partial<LoadClientOptions>) {
    const stop = new AbortController()
    stops.push(stop)
    const log = new Lines()
    const sent = runLoadClient({ transactionBytes: 100, rate: 1000, nodes: [], ...options }, { log, stop: stop.signal })
    return { sent, log, stop }
  }

  it('what a duration sends arrives whole: the rate times the seconds, one sample in each burst, and then the end', async () => {
    const server = sink()
    const { sent, log } = start({ target: await server.listen(), rate: 1003, transactionBytes: 77, durationS: 1 })
    expect((await sent).sent).toBe(1003)
    await server.ended()
    expect(server.transactions).toBe(1003)
    expect([...server.sizes]).toEqual([77])
    expect(server.samples).toEqual(Array.from({ length: 20 }, (_, sample) => sample))
    expect(log.lines.filter((line) => line.startsWith('Sending'))).toEqual(
      server.samples.map((sample) => `Sending sample transaction ${sample}`),
    )
  })

  it('unbuffered, each transaction is one write, and none is written before the kernel took the one before it', async () => {
    const writes: { bytes: number; pending: number }[] = []
    const original = Socket.prototype.write as (this: Socket, ...args: unknown[]) => boolean
    const write = vi.spyOn(Socket.prototype, 'write').mockImplementation(function (this: Socket, ...args: unknown[]) {
      writes.push({ bytes: (args[0] as Uint8Array).length, pending: this.writableLength })
      return original.apply(this, args)
    } as Socket['write'])
    onTestFinished(() => void write.mockRestore())
    const server = sink()
    // Half of a burst stays with the client until the node reads.
    server.isReading = false
    const target = await server.listen()
    const { sent } = start({ target, rate: 2000, transactionBytes: 80_000, durationS: 1, unbuffered: true })
    await until(() => writes.length > 10)
    server.read()
    expect((await sent).sent).toBe(2000)
    await server.ended()
    expect(server.transactions).toBe(2000)
    expect(writes).toEqual(new Array(2000).fill({ bytes: 80_004, pending: 0 }))
  })

  it("the reference's lines come in its order", async () => {
    const server = sink()
    const { sent, log } = start({ target: await server.listen(), durationS: 1 })
    await sent
    expect(log.lines.slice(1, 6)).toEqual([
      'Transactions size: 100 B',
      'Transactions rate: 1000 tx/s',
      'Waiting for all nodes to be online...',
      'Start sending transactions',
      'Sending sample transaction 0',
    ])
  })

  it('a node that does not read gets no second burst, and the missed ones when it reads again', async () => {
    const server = sink()
    server.isReading = false
    // 16 MB a burst: more than the kernel buffers of both ends.
    const { sent, log } = start({
      target: await server.listen(),
      rate: 20 * 200,
      transactionBytes: 80_000,
      durationS: 1,
    })
    await until(() => log.count(/^Sending sample/) > 0)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(log.count(/^Sending sample/)).toBe(1)
    server.read()
    expect((await sent).sent).toBe(4000)
    await server.ended()
    expect(server.transactions).toBe(4000)
    expect(log.count(/^Transaction rate too high for this client$/)).toBeGreaterThan(0)
  })

  it('a burst that a node never takes is not counted, and does not keep the client from stopping', async () => {
    const server = sink()
    server.isReading = false
    const { sent, log, stop } = start({ target: await server.listen(), rate: 20 * 200, transactionBytes: 80_000 })
    await until(() => log.count(/^Sending sample/) > 0)
    stop.abort()
    expect((await sent).sent).toBe(0)
  })

  it('stopped between bursts, it has counted exactly what arrives', async () => {
    const server = sink()
    const { sent, log, stop } = start({ target: await server.listen(), rate: 20_000 })
    await until(() => log.count(/^Sending sample/) >= 3)
    stop.abort()
    const { sent: count } = await sent
    await server.ended()
    expect(server.transactions).toBe(count)
    expect(server.partialBytes).toBe(0)
  })

  it('a node that closes the connection is ERR_DISCONNECTED', async () => {
    const server = sink()
    const { sent } = start({ target: await server.listen() })
    await until(() => server.transactions > 0)
    for (const socket of server.sockets) socket.destroy()
    await expect(sent).rejects.toMatchObject({ code: 'ERR_DISCONNECTED' })
  })

  it('a node that dies while it does not read is ERR_DISCONNECTED', async () => {
    const server = sink()
    server.isReading = false
    const { sent, log } = start({ target: await server.listen(), rate: 20 * 200, transactionBytes: 80_000 })
    await until(() => log.count(/^Sending sample/) > 0)
    for (const socket of server.sockets) socket.resetAndDestroy()
    await expect(sent).rejects.toMatchObject({ code: 'ERR_DISCONNECTED' })
  })

  it('nobody there is ERR_UNREACHABLE', async () => {
    const server = sink()
    const target = await server.listen()
    server.close()
    await once(server.server, 'close')
    await expect(start({ target }).sent).rejects.toMatchObject({ code: 'ERR_UNREACHABLE' })
  })

  it('it says whether the worker has read all: one that does not read has not, and one that reads late has', async () => {
    const server = sink()
    const late = start({ target: await server.listen(), durationS: 1 })
    expect(await late.sent).toEqual({ sent: 1000, isRead: true })

    const mute = sink()
    mute.isReading = false
    const { sent, stop, log } = start({ target: await mute.listen(), durationS: 1 })
    await until(() => log.count(/^Sent 1000 transactions$/) === 1)
    stop.abort()
    expect(await sent).toEqual({ sent: 1000, isRead: false })
  })

  it('one that cuts the connection at the end, with bytes unread, is ERR_DISCONNECTED with the count', async () => {
    const server = sink()
    server.isReading = false
    const { sent, log } = start({ target: await server.listen(), durationS: 1 })
    await until(() => log.count(/^Sent 1000 transactions$/) === 1)
    for (const socket of server.sockets) socket.resetAndDestroy()
    await expect(sent).rejects.toMatchObject({
      code: 'ERR_DISCONNECTED',
      message: expect.stringContaining('went away after 1000 transactions were sent'),
    })
  })

  it('a target may be a name, and one that does not resolve is ERR_UNREACHABLE', async () => {
    const server = sink()
    const { port } = await server.listen()
    expect(await start({ target: { host: 'localhost', port }, durationS: 1 }).sent).toEqual({
      sent: 1000,
      isRead: true,
    })
    await expect(start({ target: { host: 'nowhere.invalid', port } }).sent).rejects.toMatchObject({
      code: 'ERR_UNREACHABLE',
      message: expect.stringContaining('the name nowhere.invalid does not resolve'),
    })
  })

  it('nothing is sent before all nodes accept connections', async () => {
    const server = sink()
    const late = sink()
    const lateAddress = await late.listen()
    late.server.close()
    await once(late.server, 'close')
    const target = await server.listen()
    const { sent, log } = start({ target, nodes: [target, lateAddress], durationS: 1 })
    // Each probe is a connection that is made and closed again.
    await until(() => server.sockets.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(log.count(/^Start sending/)).toBe(0)
    const risen = sink()
    await risen.listen(lateAddress.port)
    expect((await sent).sent).toBe(1000)
    await server.ended()
    expect(server.transactions).toBe(1000)
  })
})

describe('the client command', () => {
  const sinks: Sink[] = []
  afterEach(() => {
    for (const sink of sinks.splice(0)) sink.close()
  })

  async function launch(rate: number) {
    const server = new Sink()
    sinks.push(server)
    const { port } = await server.listen()
    const child = spawn(
      process.execPath,
      [
        'dist/node.js',
        'client',
        `127.0.0.1:${port}`,
        '--size',
        '64',
        '--rate',
        String(rate),
        '--nodes',
        `127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...process.env, NARVAL_CHILD: '1' } },
    )
    let stderr = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const exited = once(child, 'close') as Promise<[number | null, string | null]>
    return { server, child, exited, stderr: () => stderr }
  }

  it("SIGTERM ends it with 0 and the count of what arrived; its log is one that the reference's parser reads", async () => {
    const { server, child, exited, stderr } = await launch(2000)
    await until(() => server.transactions >= 200)
    child.kill('SIGTERM')
    expect((await exited)[0]).toBe(0)
    await server.ended()
    const log = stderr()
    expect(log).toContain(` Sent ${server.transactions} transactions\n`)
    expect(/Transactions size: (\d+)/.exec(log)?.[1]).toBe('64')
    expect(/Transactions rate: (\d+)/.exec(log)?.[1]).toBe('2000')
    expect(/\[(.*Z) .* Start /.exec(log)).not.toBeNull()
    expect([...log.matchAll(/\[(.*Z) .* sample transaction (\d+)/g)].map((match) => Number(match[2]))).toEqual(
      server.samples,
    )
    expect(log).not.toContain('Error')
  })

  it('a node that goes away ends it with 1 and one line', async () => {
    const { server, exited, stderr } = await launch(2000)
    await until(() => server.transactions >= 1)
    server.close()
    expect((await exited)[0]).toBe(1)
    expect(stderr().match(/^narval: ERR_DISCONNECTED: [^\n]+\n/m)).not.toBeNull()
  })

  it('one whose parent was gone before it could watch ends too', async () => {
    const { child } = await launch(2000)
    const exited = once(child, 'exit')
    child.disconnect()
    expect((await exited)[0]).toBe(1)
  })

  it('it does not outlive whoever started it over a channel', async () => {
    const { server, child } = await launch(2000)
    await until(() => server.transactions >= 1)
    const exited = once(child, 'exit')
    child.disconnect()
    expect((await exited)[0]).toBe(1)
  })
})
