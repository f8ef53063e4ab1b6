/** A worker of a committee of one, from dist/, whose insides a test can reach. */
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { Logger } from '../../src/index.js'
import { GcRelief } from '../../src/main/lib/gc-relief.js'
import type { PrimaryLink } from '../../src/main/worker/primary-link/primary-link.js'
import type { TcpAddress } from '../../src/shared/config/address.js'
import { parseCommittee } from '../../src/shared/config/committee.js'
import { localCommittee } from '../../src/shared/config/committee-file.js'
import { generateKeys } from '../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { defaultParameters } from '../../src/shared/config/parameters.js'
import { freePorts } from './free-ports.js'
import { temporaryDirectory } from './temporary-directory.js'
import { fromDist } from './threads/main-side.js'
import { until } from './until.js'

// From dist/, where the threads are.
const { WorkerNode } =
  await fromDist<typeof import('../../src/main/worker/worker-node.js')>('main/worker/worker-node.js')
const { openTcpPrimary } = await fromDist<typeof import('../../src/main/worker/primary-link/open-tcp-primary.js')>(
  'main/worker/primary-link/open-tcp-primary.js',
)
export type StartedNode = InstanceType<typeof WorkerNode>

export const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }

const silentLink: PrimaryLink = {
  isFull: false,
  queued: 0,
  dropped: 0,
  isConnected: true,
  report() {},
  close: async () => {},
}

export interface Started {
  readonly node: StartedNode
  /** Where clients and other workers connect. */
  readonly ports: number[]
  readonly primaryToWorker: TcpAddress
  readonly workerToPrimary: TcpAddress
  readonly workerToWorker: TcpAddress
}

/** Closed when the test ends. With `hasPrimary` it listens for its primary and dials it, as a worker of its own does. */
export async function startNode(log: Partial<Logger> = {}, hasPrimary = false): Promise<Started> {
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const node: StartedNode = new WorkerNode({
    keys,
    committee,
    workerId: 0,
    store: join(temporaryDirectory(), 'store'),
    parameters: { ...defaultParameters(), ackLevel: 'stored' },
    networkKeySeed: deriveNetworkKeySeed(keys.seed, 0),
    bind: '127.0.0.1',
    clients: true,
    benchmark: false,
    isOrdered: false,
    gcRelief: new GcRelief(),
    openPrimary: async (_, handlers) =>
      hasPrimary ? openTcpPrimary({ bind: '127.0.0.1', committee, keys, workerId: 0 }, node, handlers) : silentLink,
    log: { ...silent, ...log },
    poisonFreedSlots: true,
  })
  await node.start()
  onTestFinished(() => node.close().catch(() => {}))
  const { primaryToWorker, transactions, workerToWorker } = committee.worker(0, 0)
  const { workerToPrimary } = committee.primary(0)
  return { node, ports: [transactions.port, workerToWorker.port], primaryToWorker, workerToPrimary, workerToWorker }
}

export function isClosed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

/** Put in the place of what a test makes fail. */
export function bug(): never {
  throw new Error('a bug of ours')
}

/** The worker ended for what main failed in: it says so, refuses what is asked, and listens no more. */
export async function expectFailure(node: StartedNode, ports: number[], about: string): Promise<void> {
  await expect(node.stopped).rejects.toMatchObject({
    code: 'ERR_THREAD_DIED',
    message: expect.stringContaining(`the main thread failed in ${about}`),
  })
  expect(node.health().ok).toBe(false)
  await expect(node.submit(new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  for (const port of ports) await until(`port ${port} is closed`, () => isClosed(port))
}
