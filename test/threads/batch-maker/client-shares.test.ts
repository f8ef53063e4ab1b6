/** Strangers that take what is for all clients: a real port, and clients from several addresses of loopback. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CLIENT_CARRY_BYTES_MAX, CLIENT_KEEP_ALIVE_MS } from '../../../src/threads/batch-maker/limits.js'
import {
  type BatchMakerUnderTest,
  connectClient,
  frame,
  startBatchMaker,
} from '../../support/threads/batch-maker-under-test.js'
import { until } from '../../support/until.js'

const HOARDER = '127.0.0.2'
const HONEST = '127.0.0.3'
const LARGE = 4 * 1024 * 1024

function connectMany(maker: BatchMakerUnderTest, count: number, address: string): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => connectClient(maker.port, address)))
}

const isGone = (socket: Socket): boolean => socket.closed

describe('places', () => {
  it('mute connections of one address do not keep the clients of others out', async () => {
    const maker = await startBatchMaker({ connectionsMax: 64 })
    const mute = await connectMany(maker, 64, HOARDER)
    await until('all places are taken', () => maker.counters.get('connections') === 64)
    const honest = await connectMany(maker, 20, HONEST)
    for (const [n, client] of honest.entries()) client.write(frame(Buffer.alloc(20, n + 1)))
    await until('all of the honest', () => maker.taken().length === 20)
    await until('as many mute ones are gone', () => mute.filter(isGone).length === 20)
    expect(honest.some(isGone)).toBe(false)
    expect(maker.counters.get('source-share')).toBe(20)
    expect(maker.counters.get('connections')).toBe(64)
    expect(maker.log.join()).toContain(`Refused client ${HOARDER} port `)
    // The hoarder comes again and again, and gets nobody's place.
    const again = await connectMany(maker, 100, HOARDER)
    await until('they are refused', () => again.every(isGone))
    expect(maker.counters.get('too-many-connections')).toBe(100)
    for (const client of honest) client.write(frame(Buffer.alloc(20, 0xff)))
    await until('the honest go on', () => maker.taken().length === 40)
  })

  it('clients of one address are as many as there are places, as long as nobody else comes', async () => {
    const maker = await startBatchMaker({ connectionsMax: 200, batchBytesMax: 50_000 })
    const clients = await connectMany(maker, 200, '127.0.0.1')
    for (const client of clients) client.write(frame(Buffer.alloc(20, 1)))
    await until('all', () => maker.taken().length === 200)
    expect(clients.some(isGone)).toBe(false)
  })

  it.skipIf(!existsSync('/proc/net/tcp'))('TCP asks whether a client that rests is still there', async () => {
    const maker = await startBatchMaker()
    const client = await connectClient(maker.port)
    await until('it is here', () => maker.counters.get('connections') === 1)
    const hex = (n: number): string => n.toString(16).toUpperCase().padStart(4, '0')
    const line = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      // Our end: the port of clients is the local one, 01 is ESTABLISHED.
      .find((row) => new RegExp(`:${hex(maker.port)} \\w+:${hex(client.localPort!)} 01 `).test(row))
    // The fifth field is the timer of the connection: 02 is the one of keep-alive, then its time in hundredths.
    const [timer, when] = line!.trim().split(/\s+/)[5]!.split(':')
    expect(timer).toBe('02')
    expect(Number.parseInt(when!, 16) * 10).toBeLessThanOrEqual(CLIENT_KEEP_ALIVE_MS)
  })
})

describe('half frames', () => {
  /** All but the last bytes of the largest transaction. */
  function halfAndRest(maker: BatchMakerUnderTest): [Buffer, Buffer] {
    const whole = frame(Buffer.alloc(maker.transactionBytesMax, 7))
    return [whole.subarray(0, -100), whole.subarray(-100)]
  }

  const startLarge = (): Promise<BatchMakerUnderTest> => startBatchMaker({ batchBytesMax: LARGE, ownSlots: 4 })

  it('those of one address that fill the memory give way to clients of others, who do not wait', async () => {
    const maker = await startLarge()
    const [half] = halfAndRest(maker)
    const hoarder = await connectMany(maker, CLIENT_CARRY_BYTES_MAX / LARGE, HOARDER)
    for (const client of hoarder) client.write(half)
    await until('all of it is read', () => hoarder.every(({ writableLength }) => writableLength === 0))
    const honest = await connectMany(maker, 4, HONEST)
    for (const client of honest) client.write(frame(Buffer.alloc(maker.transactionBytesMax, 8)))
    await until('all of the honest', () => maker.taken().length === 4)
    expect(honest.some(isGone)).toBe(false)
    expect(maker.counters.get('frame-memory')).toBeGreaterThan(0)
    expect(maker.log.join()).toContain(`half frames of ${HOARDER} hold`)
    // The memory is as large as before: what is left of the hoarder's frames can be finished.
    const left = hoarder.filter((client) => !isGone(client))
    for (const client of left) client.write(halfAndRest(maker)[1])
    await until('those too', () => maker.taken().length >= 4 + left.filter((client) => !isGone(client)).length)
  })

  it('those that lag give way to clients of the same address, who are not closed', async () => {
    const maker = await startLarge()
    const [half] = halfAndRest(maker)
    const hoarder = await connectMany(maker, 2 * (CLIENT_CARRY_BYTES_MAX / LARGE), HONEST)
    for (const client of hoarder) client.write(half)
    const honest = await connectMany(maker, 10, HONEST)
    for (const client of honest) client.write(frame(Buffer.alloc(maker.transactionBytesMax, 8)))
    await until('all of the honest', () => maker.taken().length === 10)
    expect(honest.some(isGone)).toBe(false)
    expect(maker.counters.get('frame-memory')).toBeGreaterThan(0)
  })

  it('clients of one address whose frames are more than the memory holds take turns, and none is closed', async () => {
    const maker = await startLarge()
    const [half, rest] = halfAndRest(maker)
    const clients = await connectMany(maker, 2 * (CLIENT_CARRY_BYTES_MAX / LARGE), HONEST)
    for (const client of clients) client.write(half)
    for (const client of clients) client.write(rest)
    await until('all', () => maker.taken().length === clients.length)
    expect(clients.some(isGone)).toBe(false)
    expect(maker.counters.get('frame-memory')).toBe(0)
  })

  it('whole frames that wait for a slot are owed: all of them come out, though they are more than the memory', async () => {
    const maker = await startBatchMaker({ batchBytesMax: LARGE, ownSlots: 4, slotsKept: 4 })
    const clients = await connectMany(maker, 2 * (CLIENT_CARRY_BYTES_MAX / LARGE), HONEST)
    for (const client of clients) client.write(frame(Buffer.alloc(maker.transactionBytesMax, 8)))
    await until('many wait', () => maker.counters.get('pauses') >= CLIENT_CARRY_BYTES_MAX / LARGE - 1)
    for (let slot = 0; slot < 4; slot += 1) maker.giveSlot(slot)
    await until('all', () => maker.taken().length === clients.length)
    expect(maker.counters.get('frame-memory')).toBe(0)
  })
})

describe('what is no transaction', () => {
  it('an HTTP client is told so, counted, and the log names it', async () => {
    const maker = await startBatchMaker()
    const asked = request({ host: '127.0.0.1', port: maker.port, path: '/health' }).end()
    const [response] = await once(asked, 'response')
    expect(response.statusCode).toBe(400)
    expect(Buffer.concat(await response.toArray()).toString()).toContain('this port takes transactions')
    expect(maker.counters.get('http-request')).toBe(1)
    expect(maker.counters.get('transaction-too-large')).toBe(0)
    expect(maker.log.join()).toContain('http-request: an HTTP request, "GET …": this port takes transactions')
    await until('it is gone', () => maker.counters.get('connections') === 0)
  })

  it('so is one whose verb comes in pieces, and one that sends a body that nobody reads', async () => {
    const maker = await startBatchMaker()
    const client = await connectClient(maker.port)
    client.resume()
    client.write('PO')
    await until('it is here', () => maker.counters.get('connections') === 1)
    client.write('ST / HTTP/1.1\r\n\r\n')
    client.write(Buffer.alloc(1_000_000))
    await until('it is counted', () => maker.counters.get('http-request') === 1)
    await until('it is closed', () => isGone(client))
  })

  it('curl shows the answer', async () => {
    const maker = await startBatchMaker()
    const { stdout } = await promisify(execFile)('curl', ['-s', '-i', `http://127.0.0.1:${maker.port}/metrics`]).catch(
      (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? { stdout: 'HTTP/1.1 400' } : Promise.reject(error)),
    )
    expect(stdout).toContain('HTTP/1.1 400')
  })

  it('a TLS client is recognised', async () => {
    const maker = await startBatchMaker()
    const client = connectTls({ host: '127.0.0.1', port: maker.port })
    onTestFinished(() => void client.destroy())
    client.on('error', () => {})
    await until('it is counted', () => maker.counters.get('tls-handshake') === 1)
    expect(maker.log.join()).toContain('tls-handshake: a TLS handshake: this port takes transactions')
  })

  it('a transaction later in the stream is never taken for one of these', async () => {
    const maker = await startBatchMaker()
    const client = await connectClient(maker.port)
    client.write(Buffer.concat([frame(Buffer.alloc(10)), Buffer.from('GET / HTTP/1.1\r\n\r\n')]))
    await until('it is counted', () => maker.counters.get('transaction-too-large') === 1)
    expect(maker.counters.get('http-request')).toBe(0)
  })
})
