/** A worker of a committee of one, from dist/, whose insides a test can reach. */
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Logger } from '../../src/index.js'
import { freePorts } from '../../src/main/local/ports.js'
import { parseCommittee } from '../../src/shared/config/committee.js'
import { localCommittee } from '../../src/shared/config/committee-file.js'
import { generateKeys } from '../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { defaultParameters } from '../../src/shared/config/parameters.js'
import { temporaryDirectory } from './temporary-directory.js'
import { fromDist } from './threads/main-side.js'

// From dist/, where the threads are.
const { WorkerNode } =
  await fromDist<typeof import('../../src/main/worker/worker-node.js')>('main/worker/worker-node.js')
export type StartedNode = InstanceType<typeof WorkerNode>

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }

/** Closed when the test ends. `ports` are those that it listens on. */
export async function startNode(log: Partial<Logger> = {}): Promise<{ node: StartedNode; ports: number[] }> {
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const node = new WorkerNode({
    keys,
    committee,
    workerId: 0,
    store: join(temporaryDirectory(), 'store'),
    parameters: { ...defaultParameters(), ackLevel: 'stored' },
    networkKeySeed: deriveNetworkKeySeed(keys.seed, 0),
    bind: '127.0.0.1',
    clients: true,
    benchmark: false,
    openPrimary: async () => ({
      isFull: false,
      queued: 0,
      dropped: 0,
      isConnected: true,
      report() {},
      close: async () => {},
    }),
    log: { ...silent, ...log },
    poisonFreedSlots: true,
  })
  await node.start()
  onTestFinished(() => node.close().catch(() => {}))
  const { transactions, workerToWorker } = committee.worker(0, 0)
  return { node, ports: [transactions.port, workerToWorker.port] }
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
