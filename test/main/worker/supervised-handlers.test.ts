/**
 * What throws in a handler of a socket, a timer, an event or a request on main is the worker's failure. An exception that
 * escapes would fail this file: vitest sees it.
 */
import { createConnection, createServer, type Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, onTestFinished, test, vi } from 'vitest'
import { answerOf } from '../../../src/main/metrics/health.js'
import { HELLO_PROTOCOL } from '../../../src/main/network/protocols.js'
import { FRAME_TYPES } from '../../../src/shared/wire/frames.js'
import { frame } from '../../support/raw-stream.js'
import { bug, expectFailure, type StartedNode, silent, startNode } from '../../support/started-node.js'
import { createStockNode } from '../../support/stock-node.js'

/** A class of the files that the node under test is made of. */
const built = async <T>(path: string): Promise<T> => import(new URL(`../../../dist/main/${path}`, import.meta.url).href)
const { PrimaryPlaces } = await built<typeof import('../../../src/main/worker/primary-link/primary-places.js')>(
  'worker/primary-link/primary-places.js',
)
const { PrimaryInbox } = await built<typeof import('../../../src/main/worker/primary-link/primary-inbox.js')>(
  'worker/primary-link/primary-inbox.js',
)
const { SentReports } = await built<typeof import('../../../src/main/worker/primary-link/sent-reports.js')>(
  'worker/primary-link/sent-reports.js',
)
const { Admission } = await built<typeof import('../../../src/main/network/admission.js')>('network/admission.js')
const { WorkBudget } = await built<typeof import('../../../src/main/network/work-budget.js')>('network/work-budget.js')
const { PeerLog } = await built<typeof import('../../../src/main/network/peer-log.js')>('network/peer-log.js')
const { MetricsServer } = await built<typeof import('../../../src/main/http/http-server.js')>('http/http-server.js')

/** The parts of a worker that a test makes fail, as a bug of ours would. */
interface Insides {
  readonly wiring: {
    readonly peers: { admits: () => boolean }
    readonly batchStreams: {
      onPeerConnected: () => void
      openLater(peer: object, link: object, ms: number): void
    }
  }
  readonly network: {
    readonly dependencies: { readonly node: { safeDispatchEvent(type: string, detail: object): void } }
    readonly hellos: { readonly dependencies: { checkHello: () => void } }
  }
}
const insidesOf = (node: StartedNode): Insides => node as unknown as Insides

/** Breaks a class of the node under test for the time of a test. */
function breakOf<T extends object>({ prototype }: { readonly prototype: T }, method: keyof T): void {
  const whole = prototype[method]
  prototype[method] = bug as never
  onTestFinished(() => {
    prototype[method] = whole
  })
}

function connected(port: number): Socket {
  const socket = createConnection({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  return socket
}

describe('a bug of ours ends the worker with a reason, and not the process, in a handler of', () => {
  test('a socket that comes in', async () => {
    const { node, ports, primaryToWorker } = await startNode({}, true)
    breakOf(PrimaryPlaces, 'enter')
    connected(primaryToWorker.port)
    await expectFailure(node, [...ports, primaryToWorker.port], 'a connection of a primary')
  })

  test('what a socket reads', async () => {
    const { node, ports, primaryToWorker } = await startNode({}, true)
    breakOf(PrimaryInbox, 'takeFrame')
    connected(primaryToWorker.port).write(Buffer.from([0, 0, 0, 4, 9, 9, 9, 9]))
    await expectFailure(node, ports, 'what a primary sends')
  })

  test('a socket of ours that is lost', async () => {
    const { node, ports, workerToPrimary } = await startNode({}, true)
    breakOf(SentReports, 'takeAll')
    const primary = createServer((socket) => socket.destroy())
    primary.listen(workerToPrimary.port, '127.0.0.1')
    onTestFinished(() => void primary.close())
    await expectFailure(node, ports, 'the connection to the primary')
  })

  test('a timer', async () => {
    const { node, ports } = await startNode()
    const { batchStreams } = insidesOf(node).wiring
    batchStreams.onPeerConnected = bug
    batchStreams.openLater({}, {}, 1)
    await expectFailure(node, ports, 'a batch stream')
  })

  test('an event of libp2p’s', async () => {
    const { node, ports } = await startNode()
    insidesOf(node).network.dependencies.node.safeDispatchEvent('peer:discovery', { detail: {} })
    await expectFailure(node, ports, 'peer discovery')
  })

  test('admission, where libp2p would keep it to itself', async () => {
    const { node, ports, workerToWorker } = await startNode()
    breakOf(Admission, 'arrive')
    connected(workerToWorker.port)
    await expectFailure(node, ports, 'admission')
  })

  test('an event of a connection: its end', async () => {
    const { node, ports, workerToWorker } = await startNode()
    breakOf(Admission, 'leave')
    connected(workerToWorker.port).end()
    await expectFailure(node, ports, 'admission')
  })

  test('what a connection costs, which libp2p calls and would take for the connection’s fault', async () => {
    const { node, ports, workerToWorker } = await startNode()
    breakOf(WorkBudget, 'receive')
    // What comes first is kept for libp2p, and was not counted when it came.
    const socket = connected(workerToWorker.port)
    const timer = setInterval(() => socket.write('x'), 20)
    onTestFinished(() => clearInterval(timer))
    await expectFailure(node, ports, 'the guard of a connection')
  })

  test('a hello', async () => {
    const { node, ports, workerToWorker } = await startNode()
    insidesOf(node).network.hellos.dependencies.checkHello = bug
    insidesOf(node).wiring.peers.admits = () => true
    const stranger = await createStockNode(new Uint8Array(32).fill(9))
    await stranger.start()
    onTestFinished(() => Promise.resolve(stranger.stop()))
    const connection = await stranger.dial(multiaddr(`/ip4/127.0.0.1/tcp/${workerToWorker.port}`))
    const stream = await connection.newStream([HELLO_PROTOCOL])
    stream.send(frame(FRAME_TYPES.hello, new Uint8Array(10)))
    await expectFailure(node, ports, 'a hello')
  })

  test('lines about peers, which are said later', async () => {
    const { node, ports } = await startNode()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const log = new PeerLog({ log: { ...silent, warn: bug }, nowMs: () => 0, supervisor: node.supervisor })
    for (let n = 0; n < 20; n += 1) log.say('info', { index: 1 } as never, 'it came and went')
    vi.runAllTimers()
    vi.useRealTimers()
    await expectFailure(node, ports, 'lines about a peer')
  })

  test('a request for metrics', async () => {
    const { node, ports } = await startNode()
    const server = new MetricsServer(
      { host: '127.0.0.1', port: 0 },
      {
        metrics: { contentType: 'no header\nat all', text: async () => '' },
        health: () => answerOf(node.health()),
        isAlive: () => true,
        supervisor: node.supervisor,
      },
    )
    await server.listen()
    onTestFinished(() => server.close())
    fetch(`http://127.0.0.1:${server.address.port}/metrics`).catch(() => {})
    await expectFailure(node, ports, 'a request for metrics')
  })
})
