/** Free ports on this machine. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { NarvalError } from '../../shared/errors.js'

/**
 * Below what systems hand out to outgoing connections (Linux 32768, macOS and Windows 49152): a port in that range, once
 * found free, may be taken by a connection before a node listens on it.
 */
const PORT_MIN = 10_000
const PORT_MAX = 32_000
const ATTEMPTS = 50

/** The first of `count` ports in a row on which nobody listens. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const first = randomInt(PORT_MIN, PORT_MAX - count)
    if (await areFree(first, count)) return first
  }
  throw new NarvalError(
    'ERR_ADDRESS_IN_USE',
    `found no ${count} free ports in a row between ${PORT_MIN} and ${PORT_MAX}`,
  )
}

async function areFree(first: number, count: number): Promise<boolean> {
  for (let port = first; port < first + count; port++) {
    if (!(await isFree(port))) return false
  }
  return true
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
