/** A thread of a running worker dies: everything that waits for it hears of it, and everything is closed. */
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../../../src/main/local/ports.js'
import type { HostedThread } from '../../../src/main/thread-host/threads.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../../src/shared/config/network-key.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

// From dist/, where the threads are.
const { WorkerNode } = (await import(
  new URL('../../../dist/main/worker/worker-node.js', import.meta.url).href
)) as typeof import('../../../src/main/worker/worker-node.js')

test.each<HostedThread>(['batch-maker', 'processor', 'quorum-waiter'])(
  'the %s dies: stopped says so, what was asked is refused at once, readers end, health fails, the ports are closed',
  async (name) => {
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
      benchmark: false,
      openPrimary: async () => ({
        isFull: false,
        queued: 0,
        dropped: 0,
        isConnected: true,
        report() {},
        close: async () => {},
      }),
      log: { error() {}, warn() {}, info() {}, debug() {}, trace() {} },
      clients: true,
      poisonFreedSlots: true,
    })
    await node.start()
    onTestFinished(() => node.close().catch(() => {}))
    const reader = node.certified[Symbol.asyncIterator]().next()
    const asked = node.read(new Uint8Array(32)).catch((error: unknown) => error)
    // As a crash would end it: nobody has asked it to.
    const { running } = (node as unknown as { threads: { running: Map<string, { terminate(): Promise<void> }> } })
      .threads
    await running.get(name)!.terminate()
    await expect(node.stopped).rejects.toMatchObject({ code: 'ERR_THREAD_DIED' })
    // Answered before the death or refused by it, but never left alone.
    expect([undefined, 'ERR_CLOSED']).toContain(((await asked) as { code?: string } | undefined)?.code)
    await expect(node.read(new Uint8Array(32))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(node.submit(new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(await reader).toEqual({ done: true, value: undefined })
    expect(node.health().ok).toBe(false)
    const ports = [committee.worker(0, 0).transactions.port, committee.worker(0, 0).workerToWorker.port]
    for (const port of ports) {
      await until(`port ${port} is closed`, () => isClosed(port))
    }
  },
)

function isClosed(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
