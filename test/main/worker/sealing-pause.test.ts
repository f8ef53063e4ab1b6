/** A worker whose link to the primary says that it is full: the wiring between the link and the sealing of batches. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { GcRelief } from '../../../src/main/lib/gc-relief.js'
import type { PrimaryLinkHandlers, PrimaryReport } from '../../../src/main/worker/primary-link/primary-link.js'
import type { WorkerNodeOptions } from '../../../src/main/worker/worker-node-options.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../../src/shared/config/network-key.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { TestClient } from '../../support/client.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

// From dist/, where the threads are.
const { WorkerNode } = (await import(
  new URL('../../../dist/main/worker/worker-node.js', import.meta.url).href
)) as typeof import('../../../src/main/worker/worker-node.js')

test('no batch is sealed while too many own reports wait for the primary, and sealing goes on when there is room', async () => {
  const keys = generateKeys()
  const link = {
    isFull: true,
    queued: 0,
    dropped: 0,
    isConnected: false,
    reports: [] as PrimaryReport[],
    report: (report: PrimaryReport) => void link.reports.push(report),
    close: async () => {},
  }
  let handlers: PrimaryLinkHandlers | undefined
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const log = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
  const options: WorkerNodeOptions = {
    keys,
    committee,
    workerId: 0,
    store: join(temporaryDirectory(), 'store'),
    parameters: { ...defaultParameters(), ackLevel: 'stored', maxBatchDelayMs: 10 },
    networkKeySeed: deriveNetworkKeySeed(keys.seed, 0),
    bind: '127.0.0.1',
    benchmark: false,
    isOrdered: false,
    gcRelief: new GcRelief(),
    openPrimary: async (_, given) => {
      handlers = given
      return link
    },
    log,
    clients: true,
    poisonFreedSlots: true,
  }
  const node = new WorkerNode(options)
  await node.start()
  onTestFinished(() => node.close())
  const { port } = committee.worker(0, 0).transactions
  const client = await TestClient.connect(port)
  onTestFinished(() => client.destroy())
  await client.send(1, 100)
  const paused = async (): Promise<boolean> => (await node.metrics.text()).includes('narval_client_pauses_total 1\n')
  await until('the client is paused for lack of a slot', paused)
  expect(link.reports).toEqual([])
  link.isFull = false
  handlers!.onRoom()
  await until('it is certified and reported', () => link.reports.length === 1)
})
