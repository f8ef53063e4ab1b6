/** The gate of a worker whose committee file has names: places go to what they stand for. Without sockets. */
import type { MultiaddrConnection, Upgrader } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { unsupervised } from '../../../src/main/lib/supervisor.js'
import { HostNames } from '../../../src/main/names/host-names.js'
import { Gate } from '../../../src/main/network/gate.js'
import { MEMBER_PLACES, STRANGER_PLACES_MAX } from '../../../src/main/network/limits.js'
import { PeerTable } from '../../../src/main/network/peer-table.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'

const MEMBER = '10.0.0.1'

/** A connection that says nothing. */
class Silent extends EventTarget {
  readonly status = 'open'
  readonly timeline = {}
  readonly remoteAddr
  aborted = false

  constructor(host: string) {
    super()
    this.remoteAddr = multiaddr(`/ip4/${host}/tcp/4000`)
  }

  abort(): void {
    this.aborted = true
  }
}

/** What a transport calls for each connection that comes, behind the gate. */
function behind(gate: Gate): (connection: Silent) => void {
  let upgrader: Upgrader | undefined
  const factory = gate.guard(
    () =>
      ({
        createListener: (options: { upgrader: Upgrader }) => {
          upgrader = options.upgrader
          return new EventTarget() as never
        },
      }) as never,
  )
  const { createListener } = factory({}) as { createListener: (options: { upgrader: Upgrader }) => unknown }
  createListener({ upgrader: {} as Upgrader })
  return (connection) => {
    upgrader!.upgradeInbound(connection as unknown as MultiaddrConnection, {} as never).catch(() => {})
  }
}

test.each([
  ['that nobody has asked for yet', false],
  ['that somebody has asked for before, and that have not changed since', true],
])('places are kept at the addresses of names %s', async (_, isKnown) => {
  const keys = [1, 2].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  const file = localCommittee(
    keys.map(({ name }) => name),
    1,
    4000,
  )
  const committee = parseCommittee(JSON.parse(JSON.stringify(file).replaceAll('127.0.0.1', 'worker.test')), 'test')
  const names = new HostNames({ lookup: async () => [MEMBER] })
  onTestFinished(() => names.close())
  if (isKnown) await names.resolve('worker.test')
  const gate = Gate.of(new PeerTable(committee, 0, 0), { onRefused: () => {} }, names, unsupervised)
  onTestFinished(() => gate.close())
  if (!isKnown) await names.resolve('worker.test')
  const arrive = behind(gate)
  const members = Array.from({ length: MEMBER_PLACES }, () => new Silent(MEMBER))
  members.forEach(arrive)
  const strangers = Array.from({ length: STRANGER_PLACES_MAX + 10 }, (_, i) => new Silent(`10.1.${i >> 8}.${i & 255}`))
  strangers.forEach(arrive)
  expect(strangers.filter(({ aborted }) => aborted)).toHaveLength(10)
  expect(members.some(({ aborted }) => aborted)).toBe(false)
})
