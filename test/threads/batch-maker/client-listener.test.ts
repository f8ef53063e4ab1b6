/** The clients' port when a connection cannot be accepted. */
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { COUNTERS_BYTES, Counters } from '../../../src/shared/memory/counters.js'
import { ClientListener } from '../../../src/threads/batch-maker/client-listener.js'
import { freePorts } from '../../support/free-ports.js'
import { until } from '../../support/until.js'

test('an error of accept is counted and said, and the port goes on', async () => {
  const port = await freePorts(1)
  const counters = new Counters({ buffer: new SharedArrayBuffer(COUNTERS_BYTES), byteOffset: 0 }, 'batch-maker')
  const refused: string[] = []
  const listener = new ClientListener(
    { host: '127.0.0.1', port, connectionsMax: 10, idleTimeoutMs: 30_000 },
    {
      batchMaker: {} as never,
      counters,
      onRefused: (reason, from, detail) => refused.push(`${reason} ${from}: ${detail}`),
    },
  )
  await listener.listen()
  onTestFinished(() => listener.close())
  const { server } = listener as unknown as { server: NodeJS.EventEmitter }
  // As Node does when the process has no descriptor left, and another thread took the one that libuv keeps for this.
  server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE', syscall: 'accept' }))
  expect(counters.get('not-accepted')).toBe(1)
  expect(refused).toEqual(['not-accepted unknown: accept EMFILE'])
  const socket = connect({ host: '127.0.0.1', port })
  onTestFinished(() => void socket.destroy())
  await until('the next one is accepted', () => counters.get('connections') === 1)
})

test.each([
  [0, 'dropped before anybody is asked to leave for it'],
  [1, 'judged by the shares of the sources'],
])('with room for %i sockets beside the places, one more is %s', async (socketsClosingMax) => {
  const port = await freePorts(1)
  const counters = new Counters({ buffer: new SharedArrayBuffer(COUNTERS_BYTES), byteOffset: 0 }, 'batch-maker')
  const listener = new ClientListener(
    { host: '127.0.0.1', port, connectionsMax: 2, idleTimeoutMs: 30_000, socketsClosingMax },
    { batchMaker: {} as never, counters, onRefused() {} },
  )
  await listener.listen()
  onTestFinished(() => listener.close())
  const open = (localAddress: string): void => {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
  }
  open('127.0.0.2')
  open('127.0.0.2')
  await until('the places are taken', () => counters.get('connections') === 2)
  open('127.0.0.3')
  await until('the third is counted', () => counters.get('too-many-connections') + counters.get('source-share') === 1)
  expect(counters.get('source-share')).toBe(socketsClosingMax)
})

test('a port in use is the failure of the start', async () => {
  const port = await freePorts(1)
  const make = (): ClientListener =>
    new ClientListener(
      { host: '127.0.0.1', port, connectionsMax: 10, idleTimeoutMs: 30_000 },
      {
        batchMaker: {} as never,
        counters: new Counters({ buffer: new SharedArrayBuffer(COUNTERS_BYTES), byteOffset: 0 }, 'batch-maker'),
        onRefused() {},
      },
    )
  const first = make()
  await first.listen()
  onTestFinished(() => first.close())
  await expect(make().listen()).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
