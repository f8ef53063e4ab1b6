import { connect, createServer } from 'node:net'
import { endianness } from 'node:os'
import { expect, onTestFinished, test, vi } from 'vitest'
import { findTcpRow } from '../../../../src/main/worker/primary-link/tcp-table.js'
import { unreadIn, unreadOf } from '../../../../src/main/worker/primary-link/unread-bytes.js'

/** Tables of a little-endian Linux 6.1. */
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11111 1 0000000000000000 100 0 0 10 0
   1: 0100007F:C350 0100007F:1F90 01 0000002C:00000000 01:00000014 00000004  1000        3 22222 2 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000058 00:00000000 00000000  1000        0 33333 1 0000000000000000 20 4 30 10 -1
   3: 0200000A:C350 0300000A:1F90 07 00000000:00000000 00:00000000 00000000  1000        0 44444 1 0000000000000000 20 4 30 10 -1
`
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000100007F:C350 01 00000000:00000007 00:00000000 00000000     0        0 1 1 0000000000000000 20 4 0 10 -1
   1: B80D0120000000000000000001000000:C351 B80D0120000000000000000002000000:1F90 01 00000001:00000000 04:00000014 00000000     0        2 1 1 0000000000000000 20 4 0 10 -1
   2: 000080FE000000000000000001000000:C352 000080FE000000000000000002000000:1F90 08 00000002:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 20 4 0 10 -1
`
const at = (host: string, port: number) => ({ host, port })

test.skipIf(endianness() === 'BE')('a connection is found by both its ends, in any text of its addresses', () => {
  const row = findTcpRow(TCP, at('127.0.0.1', 50_000), at('127.0.0.1', 8080))
  expect(row).toEqual({ unacknowledged: 44, unread: 0, unanswered: 7 })
  expect(findTcpRow(TCP, at('::ffff:127.0.0.1', 8080), at('127.0.0.1', 50_000))).toMatchObject({ unread: 88 })
  expect(findTcpRow(TCP6, at('127.0.0.1', 8081), at('::ffff:7f00:1', 50_000))).toMatchObject({ unread: 7 })
  expect(findTcpRow(TCP6, at('2001:db8::1', 50_001), at('2001:db8:0:0::2', 8080))).toEqual({
    unacknowledged: 1,
    unread: 0,
    unanswered: 2,
  })
  expect(findTcpRow(TCP6, at('fe80::1%eth0', 50_002), at('fe80::2', 8080))).toMatchObject({ unacknowledged: 2 })
})

test.skipIf(endianness() === 'BE')('one that is closed, that is another, or that is no connection is not found', () => {
  expect(findTcpRow(TCP, at('10.0.0.2', 50_000), at('10.0.0.3', 8080))).toBeUndefined()
  expect(findTcpRow(TCP, at('127.0.0.1', 50_000), at('127.0.0.1', 8081))).toBeUndefined()
  expect(findTcpRow(TCP, at('a.name', 50_000), at('127.0.0.1', 8080))).toBeUndefined()
  expect(findTcpRow('', at('127.0.0.1', 50_000), at('127.0.0.1', 8080))).toBeUndefined()
  expect(
    findTcpRow(TCP.slice(0, TCP.indexOf('0000002C')), at('127.0.0.1', 50_000), at('127.0.0.1', 8080)),
  ).toBeUndefined()
})

test.skipIf(process.platform !== 'linux').each([
  ['127.0.0.1', '127.0.0.1'],
  ['127.0.0.1', '::'],
  ['::1', '::'],
])('on %s what a reader on %s has not read is counted, and what it has is not', async (host, bind) => {
  const server = createServer({ pauseOnConnect: true }).listen(0, bind)
  onTestFinished(() => void server.close())
  await vi.waitFor(() => expect(server.listening).toBe(true))
  const { port } = server.address() as { port: number }
  const accepted = new Promise<import('node:net').Socket>((resolve) => server.once('connection', resolve))
  const socket = connect({ host, port })
  onTestFinished(() => void socket.destroy())
  const reader = await accepted
  onTestFinished(() => void reader.destroy())
  await new Promise((resolve) => socket.write(new Uint8Array(1000), resolve))
  await vi.waitFor(async () => expect(await unreadOf(socket)).toEqual({ bytes: 1000, unanswered: 0 }))
  reader.resume()
  await vi.waitFor(async () => expect(await unreadOf(socket)).toEqual({ bytes: 0, unanswered: 0 }))
  reader.destroy()
  socket.destroy()
  await vi.waitFor(async () => expect(await unreadOf(socket)).toBeUndefined())
})

test.skipIf(endianness() === 'BE')(
  'what could not be looked at, for want of a descriptor, does not count as read',
  async () => {
    const socket = {
      localFamily: 'IPv4',
      localAddress: '127.0.0.1',
      localPort: 50_000,
      remoteAddress: '127.0.0.1',
      remotePort: 8080,
    } as unknown as import('node:net').Socket
    const bytes = async (...tables: (string | undefined)[]): Promise<number | undefined> =>
      (await unreadIn(async () => tables.shift(), socket))?.bytes
    expect(await bytes(TCP, TCP)).toBe(44 + 88)
    expect(await bytes(TCP, '', TCP)).toBe(44 + 88)
    expect(await bytes(TCP, '', '')).toBe(44)
    expect(await bytes(undefined)).toBeUndefined()
    expect(await bytes(TCP, undefined, TCP)).toBeUndefined()
    expect(await bytes(TCP, '', undefined)).toBeUndefined()
  },
)
