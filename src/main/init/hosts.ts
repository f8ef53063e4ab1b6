/** Reads the hosts of a new committee as they are given on the command line. Pure. */
import { isIPv6 } from 'node:net'
import { HOST_FORM, parseHostText, parseTcpAddress } from '../../shared/config/address.js'
import { portsOfAuthority } from '../../shared/config/committee-file.js'
import { STAKE_MAX } from '../../shared/config/limits.js'
import { COMMITTEE_SIZE_MAX } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import { isLoopback } from '../../shared/wire/source-address.js'
import { isSpecialHost } from '../network/special-hosts.js'
import { INIT_HOSTS_MIN, INIT_PORT_MIN } from './limits.js'

export const HOSTS_FORM = `${HOST_FORM}; or with a first port of its own, as 10.0.0.7:5000 or [fd00::7]:5000`

const PORT_MAX = 65_535

/** A host of the committee. */
export interface InitHost {
  /** An IPv4 or IPv6 address, or a name in small letters without a dot at its end. */
  readonly host: string
  /** The first of its ports, which are in a row: those of the committee file, and then its own. */
  readonly portFirst: number
  readonly stake: number
  /** The name of its folder: no two hosts have the same, and a shell and `scp` take it for a name. */
  readonly folder: string
}

export interface HostFlags {
  /** Divided by commas. */
  readonly hosts: string
  readonly workers: number
  /** The first port of each host that has none of its own. */
  readonly basePort: number
  /** Divided by commas, one for each host; one each without it. */
  readonly stake?: string
}

/** Ports of a host: the committee's, and the one for metrics behind them. */
export function portsOfHost(workers: number): number {
  return portsOfAuthority(workers) + 1
}

/** @throws NarvalError ERR_USAGE */
export function parseHosts({ basePort, hosts, stake, workers }: HostFlags): InitHost[] {
  const texts = hosts.split(',').map((text) => text.trim())
  if (texts.length > COMMITTEE_SIZE_MAX) {
    throw usage(`--hosts: ${texts.length} hosts, and a committee has at most ${COMMITTEE_SIZE_MAX}`)
  }
  const places = texts.map((text) => placeOf(text, basePort))
  refuseSame(places)
  if (places.length < INIT_HOSTS_MIN) {
    throw usage(
      `--hosts: ${places.length} of them, and the loss of one would end the order: name ${INIT_HOSTS_MIN} or more`,
    )
  }
  refuseUnreachable(places)
  if (areOnOneMachine(places)) refuseSamePorts(places, portsOfHost(workers))
  const portFirstMax = PORT_MAX - portsOfHost(workers) + 1
  for (const { host, portFirst } of places) {
    if (portFirst >= INIT_PORT_MIN && portFirst <= portFirstMax) continue
    throw usage(
      `the ports of ${host} begin at ${portFirst}: expected ${INIT_PORT_MIN} to ${portFirstMax}, since ${portsOfHost(workers)} in a row are used`,
    )
  }
  const stakes = stakesOf(stake, places.length)
  return places.map((place, index) => ({ ...place, stake: stakes[index]! }))
}

type Place = Omit<InitHost, 'stake'>

function placeOf(text: string, basePort: number): Place {
  const plain = parseHostText(text)
  const found = plain === undefined ? parseTcpAddress(text) : { host: plain, port: basePort }
  if (found === undefined) throw usage(`--hosts: ${JSON.stringify(text.slice(0, 260))}: expected ${HOSTS_FORM}`)
  const host = found.host.replace(/\.$/, '')
  return { host, portFirst: found.port, folder: folderOf(host) }
}

function folderOf(host: string): string {
  return isIPv6(host) ? `ip6-${host.replaceAll(':', '-')}` : host
}

/** Two authorities of one machine are lost at once. */
function refuseSame(places: readonly Place[]): void {
  const seen = new Set<string>()
  for (const { folder, host } of places) {
    if (seen.has(folder)) throw usage(`--hosts: ${host} is there twice: an authority has a host of its own`)
    seen.add(folder)
  }
}

/** A host that is another one on each machine is of use only where all are on one. */
function refuseUnreachable(places: readonly Place[]): void {
  const unspecified = places.find(({ host }) => host === '0.0.0.0' || host === '::')
  if (unspecified !== undefined) throw usage(`--hosts: ${unspecified.host} is no host that others could reach`)
  if (areOnOneMachine(places)) return
  const special = places.find(({ host }) => isSpecialHost(host))
  if (special === undefined) return
  throw usage(`--hosts: ${special.host} is no host that the others could reach: name it as they do`)
}

/** All listen on every address of their machine. */
function refuseSamePorts(places: readonly Place[], count: number): void {
  const inOrder = [...places].sort((a, b) => a.portFirst - b.portFirst)
  for (const [index, { host, portFirst }] of inOrder.entries()) {
    const next = inOrder[index + 1]
    if (next === undefined || next.portFirst >= portFirst + count) continue
    throw usage(
      `--hosts: ${host} and ${next.host} are one machine, where each needs ${count} ports of its own: give first ports, as ${host}:${portFirst},${next.host}:${portFirst + count}`,
    )
  }
}

function areOnOneMachine(places: readonly Place[]): boolean {
  return places.every(({ host }) => isLoopback(host))
}

function stakesOf(text: string | undefined, count: number): number[] {
  if (text === undefined) return Array.from({ length: count }, () => 1)
  const texts = text.split(',').map((stake) => stake.trim())
  if (texts.length !== count) throw usage(`--stake: ${texts.length} stakes for ${count} hosts: expected one for each`)
  return texts.map((stake) => {
    const value = Number(stake)
    if (/^\d{1,10}$/.test(stake) && value >= 1 && value <= STAKE_MAX) return value
    throw usage(`--stake: ${JSON.stringify(stake.slice(0, 20))}: expected an integer from 1 to ${STAKE_MAX}`)
  })
}

function usage(problem: string): NarvalError {
  return new NarvalError('ERR_USAGE', `${problem} (see --help)`)
}
