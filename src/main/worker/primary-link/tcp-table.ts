/**
 * The kernel's table of TCP connections, as Linux shows it in `/proc/self/net/tcp` and `tcp6`. Pure.
 *
 * ```
 *   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode …
 *    0: 0100007F:1F90 0100007F:C350 01 0000002C:00000000 01:00000014 00000001  1000        0 12345 …
 * ```
 *
 * Addresses are hexadecimal words of 32 bits in the order of the host, ports hexadecimal. `tx_queue` is what was written
 * and is not acknowledged, `rx_queue` what was acknowledged and is not read, both in bytes; `retrnsmt` counts
 * retransmissions in a row without an answer, `timeout` window probes likewise. Source: Linux net/ipv4/tcp_ipv4.c,
 * `get_tcp4_sock`, and net/ipv6/tcp_ipv6.c.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { endianness } from 'node:os'

export interface Endpoint {
  /** A numeric address. */
  readonly host: string
  readonly port: number
}

export interface TcpRow {
  /** Bytes that were written and are not acknowledged. */
  readonly unacknowledged: number
  /** Bytes that have come and are not read. */
  readonly unread: number
  /** Retransmissions and window probes since the other side's kernel answered last. */
  readonly unanswered: number
}

/** States in which what was written can still be acknowledged: ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT. */
const LIVE_STATES = new Set(['01', '04', '05', '08'])
const MAPPED_WORDS = ['00000000', '00000000', '0000FFFF']

/** The row of the connection between two endpoints; undefined if it is not there, or not alive any more. */
export function findTcpRow(table: string, local: Endpoint, remote: Endpoint): TcpRow | undefined {
  for (const [from, to] of keysOf(local, remote)) {
    const key = ` ${from} ${to} `
    const at = table.indexOf(key)
    if (at === -1) continue
    const [state, queues, , retransmits, , probes] = table.slice(at + key.length, at + key.length + 120).split(/\s+/)
    if (state === undefined || !LIVE_STATES.has(state)) return undefined
    const [tx, rx] = (queues ?? '').split(':').map((word) => Number.parseInt(word, 16))
    const unanswered = Number.parseInt(retransmits ?? '', 16) + Number.parseInt(probes ?? '', 10)
    if (![tx, rx, unanswered].every(Number.isInteger)) return undefined
    return { unacknowledged: tx!, unread: rx!, unanswered }
  }
  return undefined
}

/** Both endpoints as the table may write them: an IPv4 connection of an IPv6 socket stands in `tcp6`, mapped. */
function keysOf(local: Endpoint, remote: Endpoint): [string, string][] {
  const [from, to] = [wordsOf(local.host), wordsOf(remote.host)]
  if (from === undefined || to === undefined) return []
  const key = (words: readonly string[], { port }: Endpoint): string =>
    `${words.join('')}:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const plain: [string, string] = [key(from, local), key(to, remote)]
  if (from.length !== 1 || to.length !== 1) return [plain]
  const mapped = MAPPED_WORDS.map((word) => inHostOrder(word))
  return [plain, [key([...mapped, ...from], local), key([...mapped, ...to], remote)]]
}

/** An address as words of 32 bits: one for IPv4, also where it is mapped into IPv6, else four. */
function wordsOf(host: string): string[] | undefined {
  const bare = host.replace(/%.*$/, '')
  if (isIPv4(bare)) return [inHostOrder(hexOfIPv4(bare))]
  if (!isIPv6(bare)) return undefined
  const text = bare.replace(/\d+\.\d+\.\d+\.\d+$/, (dotted) => hexOfIPv4(dotted).replace(/(....)(....)/, '$1:$2'))
  const [head = '', tail = ''] = text.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':').map((group) => group.padStart(4, '0')))
  const [front, back] = [groups(head), groups(tail)]
  const zeros = new Array<string>(8 - front.length - back.length).fill('0000')
  const hex = [...front, ...zeros, ...back].join('').toUpperCase()
  const words = [0, 8, 16, 24].map((start) => hex.slice(start, start + 8))
  if (words.slice(0, 3).join() === MAPPED_WORDS.join()) return [inHostOrder(words[3]!)]
  return words.map((word) => inHostOrder(word))
}

function hexOfIPv4(host: string): string {
  return host
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase()
}

function inHostOrder(word: string): string {
  return endianness() === 'BE' ? word : word.match(/../g)!.reverse().join('')
}
