/**
 * Strangers who fill the worker's port with connections, against a real worker: peers get in all the same.
 *
 * Runs alone: 500 connections a second leave little of a core to others, and others little to the peers.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { STAGES } from '../../src/main/network/admission.js'
import { MEMBER_PLACES, SOURCE_PLACES_MAX } from '../../src/main/network/limits.js'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { peerIdOfSeed } from '../support/libp2p-peer.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

const CONNECTS_PER_S = 500
/** An attack goes on until the test ends it, and no longer than this. */
const ATTACK_S_MAX = 90
/** On a machine that has other work, an attempt to connect takes long, and another one follows. */
const BACK_MS = 80_000
const TICKS_PER_S = 20

const MULTISTREAM = Buffer.concat([Buffer.from([19]), Buffer.from('/multistream/1.0.0\n')])

/** What a stranger says on its connections. */
const HABITS: Readonly<Record<string, (socket: Socket) => void>> = {
  'say nothing': () => {},
  'say one byte': (socket) => void socket.write(MULTISTREAM.subarray(0, 1)),
  'begin a handshake': (socket) => {
    socket.write(Buffer.concat([MULTISTREAM, Buffer.from([7]), Buffer.from('/noise\n')]))
  },
  'trickle a handshake': (socket) => {
    let at = 0
    const timer = setInterval(() => {
      if (at < MULTISTREAM.length) socket.write(MULTISTREAM.subarray(at, ++at))
    }, 50)
    socket.on('close', () => clearInterval(timer))
  },
}

/** Connects at a rate until it is over; each connection is kept for as long as the worker keeps it. */
class Attack {
  readonly open = new Set<Socket>()
  made = 0
  private readonly timer: NodeJS.Timeout

  constructor(port: number, options: { readonly from?: () => string; readonly habit: (socket: Socket) => void }) {
    this.timer = setInterval(() => {
      for (let i = 0; i < CONNECTS_PER_S / TICKS_PER_S; i += 1) {
        const localAddress = options.from?.()
        const socket = connect({ host: '127.0.0.1', port, ...(localAddress !== undefined && { localAddress }) })
        this.made += 1
        this.open.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => this.open.delete(socket))
        socket.on('connect', () => options.habit(socket))
        socket.resume()
      }
    }, 1000 / TICKS_PER_S)
    setTimeout(() => this.stop(), ATTACK_S_MAX * 1000).unref()
  }

  end(): void {
    this.stop()
    for (const socket of this.open) socket.destroy()
  }

  /** No new connections; those that there are stay. */
  stop(): void {
    clearInterval(this.timer)
  }
}

const portOf = (node: WorkerUnderTest): number => Number(node.address.split('/').at(-1))

async function namedCommittee(): Promise<WorkerUnderTest> {
  return WorkerUnderTest.start({
    committee: async (file, keys) => {
      const entries = await Promise.all(
        Object.entries(file.authorities).map(async ([name, authority]) => {
          const { seed } = keys.find((it) => it.name === name)!
          const peer_id = await peerIdOfSeed(deriveNetworkKeySeed(seed, 0))
          return [name, { ...authority, workers: { 0: { ...authority.workers[0]!, peer_id } } }] as const
        }),
      )
      return { authorities: Object.fromEntries(entries) }
    },
  })
}

/** Connections that lost their places to newer ones. */
async function evicted(node: WorkerUnderTest): Promise<number> {
  let count = 0
  for (const reason of ['evicted-silent', 'evicted-handshake', 'evicted-hello']) {
    count += await node.refusals('peer', reason)
  }
  return count
}

/** Every connection that came in and did not become a peer's, by reason. */
async function strangersCounted(node: WorkerUnderTest): Promise<number> {
  const others = ['hello-timeout', 'left-before-hello'].map((reason) => node.refusals('peer', reason))
  return (await evicted(node)) + (await Promise.all(others)).reduce((sum, count) => sum + count, 0)
}

test.each(Object.keys(HABITS))(
  'under 500 connections a second of its own address that %s, a peer that restarts is back while they go on, and they are counted',
  async (habit) => {
    const beganMs = performance.now()
    const node = await WorkerUnderTest.start()
    onTestFinished(() => node.close())
    const [, restarted] = await node.honest(1, 2)
    const attack = new Attack(portOf(node), { habit: HABITS[habit]! })
    onTestFinished(() => attack.end())
    await sleep(1_000)
    await node.dismiss(restarted!)
    await until('it is lost', async () => (await node.metric('narval_peer_connected')) === 1)
    const again = await node.peer(2)
    const isBack = async (): Promise<boolean> => {
      const connection = await again.connect(node.address).catch(() => undefined)
      return connection !== undefined
    }
    await until('it is back', isBack, BACK_MS)
    // It is back while the attack goes on.
    attack.stop()
    // Those that have a place now are few, in whichever stage: all others lost theirs to newer ones.
    const places = STAGES.length * (SOURCE_PLACES_MAX + 3 * MEMBER_PLACES)
    await until('all others are gone', async () => (await strangersCounted(node)) >= attack.made - places)
    expect(await evicted(node)).toBeGreaterThan(0)
    await node.certifiesOne()
    expect(await node.metric('narval_peer_connected')).toBe(2)
    // For each reason one in ten seconds, and not one for each connection.
    const linesMax = 3 * (2 + (performance.now() - beganMs) / 10_000)
    expect(node.lines.filter((line) => line.includes('evicted-')).length).toBeLessThanOrEqual(linesMax)
  },
  120_000,
)

test('strangers of many addresses have the strangers’ places only, and those of the committee’s address stay free', async () => {
  const node = await namedCommittee()
  onTestFinished(() => node.close())
  await node.honest(1, 2)
  let next = 0
  const attack = new Attack(portOf(node), {
    from: () => `127.0.0.${2 + (next++ % 250)}`,
    habit: HABITS['begin a handshake']!,
  })
  onTestFinished(() => attack.end())
  await until('the places are all taken', async () => (await node.refusals('peer', 'evicted-handshake')) > 0)
  const again = await node.peer(3)
  // As a worker would, it tries again when the machine is too busy for one attempt.
  await until('it is in while they go on', async () => {
    const connection = await again.connect(node.address).catch(() => undefined)
    return connection !== undefined
  })
  expect(await node.metric('narval_peer_connected')).toBe(3)
  await node.certifiesOne()
  attack.stop()
})

test('a connection that trickles its handshake has the time of a hello, and no longer', async () => {
  const node = await WorkerUnderTest.start()
  onTestFinished(() => node.close())
  const socket = connect({ host: '127.0.0.1', port: portOf(node) })
  const timer = setInterval(() => socket.write(Buffer.from([0x80])), 200)
  onTestFinished(() => clearInterval(timer))
  socket.on('error', () => {})
  socket.resume()
  await until('it is closed', () => socket.closed)
  await until('it is counted', async () => (await strangersCounted(node)) === 1)
})
