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

export interface PortRange {
  readonly min: number
  /** The first port beyond it. */
  readonly max: number
}

const ALL: PortRange = { min: PORT_MIN, max: PORT_MAX }

/**
 * One of `parts` equal parts of the ports. A port that was found free is nobody's until something listens on it: those
 * who look for ports at the same time take them from different parts.
 */
export function portRange(part: number, parts: number): PortRange {
  const size = Math.floor((PORT_MAX - PORT_MIN) / parts)
  return { min: PORT_MIN + part * size, max: PORT_MIN + (part + 1) * size }
}

/** The first of `count` ports in a row on which nobody listens. */
export async function freePorts(count: number, { min, max }: PortRange = ALL): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const first = randomInt(min, max - count)
    if (await areFree(first, count)) return first
  }
  throw new NarvalError('ERR_ADDRESS_IN_USE', `found no ${count} free ports in a row between ${min} and ${max}`)
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
