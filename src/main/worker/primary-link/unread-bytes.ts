/**
 * What the other side of a TCP connection has not read, as far as the kernel tells. Linux only: Node itself says when the
 * kernel took bytes, not what became of them.
 */
import { readFile } from 'node:fs/promises'
import { BlockList, isIPv6, type Socket } from 'node:net'
import { findTcpRow } from './tcp-table.js'

const TCP = '/proc/self/net/tcp'
const TCP6 = '/proc/self/net/tcp6'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

export interface Unread {
  /** At most so many bytes of what our kernel had taken are not acknowledged, or lie unread at a reader on this machine. */
  readonly bytes: number
  /** Retransmissions and window probes since the other side's kernel answered last. */
  readonly unanswered: number
}

/** Undefined if the kernel does not say: another system, a connection that is gone. */
export type UnreadProbe = (socket: Socket) => Promise<Unread | undefined>

export const unreadOf: UnreadProbe = (socket) => unreadIn(read, socket)

/** @param read gives a table; undefined if it cannot be read now */
export async function unreadIn(
  read: (table: string) => Promise<string | undefined>,
  socket: Socket,
): Promise<Unread | undefined> {
  const { localAddress, localFamily, localPort, remoteAddress, remotePort } = socket
  if (localAddress === undefined || localPort === undefined) return undefined
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  const [near, far] = localFamily === 'IPv6' ? [TCP6, TCP] : [TCP, TCP6]
  const local = { host: localAddress, port: localPort }
  const remote = { host: remoteAddress, port: remotePort }
  const ours = findTcpRow((await read(near)) ?? '', local, remote)
  if (ours === undefined) return undefined
  if (!isOnThisMachine(localAddress, remoteAddress)) return { bytes: ours.unacknowledged, unanswered: ours.unanswered }
  // The row of the other end is read after ours. Bytes that are acknowledged in between are then counted twice. In the
  // opposite order they could be counted in neither row.
  for (const table of [near, far]) {
    const text = await read(table)
    // What could not be looked at may be unread.
    if (text === undefined) return undefined
    const theirs = findTcpRow(text, remote, local)
    if (theirs !== undefined) return { bytes: ours.unacknowledged + theirs.unread, unanswered: ours.unanswered }
  }
  return { bytes: ours.unacknowledged, unanswered: ours.unanswered }
}

/** A connection to an address of this machine has that address, or one of its loopback, at both ends. */
function isOnThisMachine(localAddress: string, remoteAddress: string): boolean {
  return localAddress === remoteAddress || LOOPBACK.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')
}

/** A table that is not there is empty: a machine may have no IPv6. */
function read(table: string): Promise<string | undefined> {
  return readFile(table, 'latin1').catch(({ code }: NodeJS.ErrnoException) => (code === 'ENOENT' ? '' : undefined))
}
