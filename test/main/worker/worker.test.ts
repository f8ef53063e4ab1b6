/** The package as a program uses it: `startWorker` in this process, from the files that are published. */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CertifiedBatch, Logger, Worker, WorkerOptions, WorkerPrimaryMessage } from '../../../src/index.js'
import { type Committee, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys, type Keys } from '../../../src/shared/config/keys.js'
import { defaultParameters, type Parameters } from '../../../src/shared/config/parameters.js'
import { encodeBase64 } from '../../../src/shared/crypto/public-key.js'
import { transactionBytesMax } from '../../../src/shared/wire/batch.js'
import { freePorts } from '../../support/free-ports.js'
import { numbersIn } from '../../support/stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

const { NarvalError, startWorker, transactions } = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as typeof import('../../../src/index.js')

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }

interface Setup {
  readonly committee: Committee
  readonly keys: readonly Keys[]
  readonly directory: string
  readonly parameters: Parameters
}

async function setUp(authorities: number, parameters: Partial<Parameters> = {}): Promise<Setup> {
  const keys = Array.from({ length: authorities }, generateKeys)
  const names = keys.map(({ name }) => name)
  const file = localCommittee(names, 1, await freePorts(authorities * 5))
  return {
    committee: parseCommittee(file, 'the committee under test'),
    keys,
    directory: temporaryDirectory(),
    parameters: { ...defaultParameters(), ackLevel: 'stored', maxBatchDelayMs: 20, ...parameters },
  }
}

interface Started {
  readonly worker: Worker
  readonly reports: WorkerPrimaryMessage[]
  readonly certified: CertifiedBatch[]
}

/** Starts an authority's worker, which is closed with the test at the latest. */
async function start(setup: Setup, index: number, options: Partial<WorkerOptions> = {}): Promise<Started> {
  const reports: WorkerPrimaryMessage[] = []
  const worker = await startWorker({
    keys: setup.keys[index]!,
    committee: setup.committee,
    store: join(setup.directory, `store-${index}`),
    parameters: setup.parameters,
    bind: '127.0.0.1',
    log: silent,
    primary: (report) => void reports.push(report),
    poisonFreedSlots: true,
    ...options,
  })
  onTestFinished(() => worker.close())
  const certified: CertifiedBatch[] = []
  void (async () => {
    for await (const batch of worker.certified) certified.push(batch)
  })()
  return { worker, reports, certified }
}

/** The numbers of the transactions in these batches, read from the worker. */
async function numbersOf(worker: Worker, batches: Iterable<{ readonly digest: Uint8Array }>): Promise<number[]> {
  const numbers: number[] = []
  for (const { digest } of batches) {
    const stored = await worker.read(digest)
    numbers.push(...numbersIn(stored!.bytes))
  }
  return numbers.sort((a, b) => a - b)
}

const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index)
const code = async (promise: Promise<unknown>): Promise<string | undefined> => {
  try {
    await promise
    return undefined
  } catch (error) {
    return error instanceof NarvalError ? error.code : String(error)
  }
}

describe('a committee of one in this process', () => {
  it('certifies what is submitted, tells its primary and its readers, and reads it back', async () => {
    const setup = await setUp(1)
    const { worker, certified, reports } = await start(setup, 0)
    expect(worker.health()).toMatchObject({ ok: true, quorumConnected: true, primaryConnected: true })
    for (const number of range(500)) await worker.submit(transactionOf(number, 300))
    await until('all are certified', () => certified.reduce((sum, batch) => sum + batch.transactions, 0) === 500)

    expect(await numbersOf(worker, certified)).toEqual(range(500))
    expect(certified.reduce((sum, batch) => sum + batch.transactionBytes, 0)).toBe(500 * 300)
    const sequences = certified.map(({ sequence }) => sequence)
    expect(new Set(sequences).size).toBe(sequences.length)
    expect(reports.map(({ type }) => type)).toEqual(certified.map(() => 'OurBatch'))
    expect(reports.map(({ digest }) => encodeBase64(digest)).sort()).toEqual(
      certified.map(({ digest }) => encodeBase64(digest)).sort(),
    )
    const [first] = certified
    const stored = await worker.read(first!.digest)
    expect(stored!.author).toEqual(setup.keys[0]!.publicKey)
    expect([...transactions(stored!.bytes)].length).toBe(first!.transactions)
    expect(await worker.read(new Uint8Array(32))).toBeUndefined()
    expect(await worker.metrics()).toMatch(/^narval_transactions_certified_total 500$/m)
  })

  it('takes messages of the primary in this process: Cleanup deletes by retention', async () => {
    const setup = await setUp(1, { gcDepthRounds: 1, retentionRounds: 2 })
    const { worker, certified } = await start(setup, 0)
    await worker.submit(transactionOf(1, 100))
    await until('it is certified', () => certified.length === 1)
    const { digest } = certified[0]!
    let round = 0n
    await until('it is deleted', async () => {
      round += 1n
      worker.toWorker({ type: 'Cleanup', round })
      return (await worker.read(digest)) === undefined
    })
    expect(round).toBeGreaterThanOrEqual(3n)
  })

  it('a worker whose primary is elsewhere takes no messages from here', async () => {
    const setup = await setUp(1)
    const worker = await startWorker({
      keys: setup.keys[0]!,
      committee: setup.committee,
      store: join(setup.directory, 'store'),
      bind: '127.0.0.1',
      log: silent,
    })
    onTestFinished(() => worker.close())
    expect(() => worker.toWorker({ type: 'Cleanup', round: 1n })).toThrow(
      /^toWorker: the primary is not in this process/,
    )
    expect(worker.health().primaryConnected).toBe(false)
  })

  it('readers begin with the batch that is certified next, end with the worker, and may leave early', async () => {
    const setup = await setUp(1)
    const { worker, certified } = await start(setup, 0)
    await worker.submit(transactionOf(1, 100))
    await until('it is certified', () => certified.length === 1)
    const reader = worker.certified[Symbol.asyncIterator]()
    const leaver = worker.certified[Symbol.asyncIterator]()
    expect(await leaver.return!()).toEqual({ done: true, value: undefined })
    await worker.submit(transactionOf(2, 100))
    const next = await reader.next()
    expect(await numbersOf(worker, [next.value as CertifiedBatch])).toEqual([2])
    await worker.close()
    expect(await reader.next()).toEqual({ done: true, value: undefined })
    expect(await leaver.next()).toEqual({ done: true, value: undefined })
  })
})

describe('submit', () => {
  it('refuses what no batch can hold, and takes the largest that one can', async () => {
    const setup = await setUp(1)
    const { worker, certified } = await start(setup, 0)
    const most = transactionBytesMax(setup.parameters.batchBytesMax)
    expect(await code(worker.submit(new Uint8Array(0)))).toBe('ERR_TRANSACTION_EMPTY')
    expect(await code(worker.submit(new Uint8Array(most + 1)))).toBe('ERR_TRANSACTION_TOO_LARGE')
    await expect(worker.submit(new Uint8Array(most + 1))).rejects.toThrow(`${most + 1} bytes, at most ${most}`)
    await worker.submit(transactionOf(7, most))
    await until('it is certified', () => certified.length === 1)
    expect(await numbersOf(worker, certified)).toEqual([7])
  })

  it('says that it is busy to a caller who does not wait, and takes all that it did not refuse', async () => {
    // Alone in a committee of two nothing is certified: slots, then the ring, then the line are full.
    const setup = await setUp(2, { ownSlots: 4, batchBytesMax: 10_000 })
    const { worker } = await start(setup, 0)
    const outcomes: Promise<string | undefined>[] = []
    let busy = 0
    for (let number = 0; busy === 0; number += 1) {
      const outcome = code(worker.submit(transactionOf(number, 5000)))
      void outcome.then((found) => {
        if (found === 'ERR_BUSY') busy += 1
      })
      outcomes.push(outcome)
      if (number % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await worker.close()
    const counts = new Map<string | undefined, number>()
    for (const outcome of await Promise.all(outcomes)) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    // Those in line when it closed are told so.
    expect([...counts.keys()].sort()).toEqual(['ERR_BUSY', 'ERR_CLOSED', undefined])
    expect(counts.get('ERR_CLOSED')).toBe(1024)
  })
})

describe('close', () => {
  it('may be called twice and at once; then everything is refused, and stopped is kept', async () => {
    const setup = await setUp(1)
    const { worker } = await start(setup, 0)
    await Promise.all([worker.close(), worker.close()])
    await worker.close()
    await worker.stopped
    expect(await code(worker.submit(transactionOf(1, 100)))).toBe('ERR_CLOSED')
    expect(await code(worker.read(new Uint8Array(32)))).toBe('ERR_CLOSED')
    expect(worker.health().ok).toBe(false)
    // Its ports and its store are free.
    const { transactions: clients, workerToWorker } = setup.committee.worker(0, 0)
    for (const { port } of [clients, workerToWorker]) {
      const server = createServer()
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
      await new Promise((resolve) => server.close(resolve))
    }
    const again = await start(setup, 0)
    await again.worker.submit(transactionOf(1, 100))
    await until('it works again', () => again.certified.length === 1)
  })

  it('what was submitted right before is certified or in the store', async () => {
    const setup = await setUp(1)
    const first = await start(setup, 0)
    for (const number of range(200)) await first.worker.submit(transactionOf(number, 200))
    await first.worker.close()
    const again = await start(setup, 0)
    const reported = new Map<string, WorkerPrimaryMessage>()
    await until('all are reported, before or after', async () => {
      for (const report of [...first.reports, ...again.reports]) reported.set(encodeBase64(report.digest), report)
      return (await numbersOf(again.worker, reported.values())).length === 200
    })
    expect(await numbersOf(again.worker, reported.values())).toEqual(range(200))
  })

  it('what no quorum has is kept, and certified under its old digest after the next start', async () => {
    const setup = await setUp(2)
    const alone = await start(setup, 0)
    for (const number of range(300)) await alone.worker.submit(transactionOf(number, 400))
    await alone.worker.close()
    expect(alone.certified).toEqual([])
    expect(alone.reports).toEqual([])

    const again = await start(setup, 0)
    const other = await start(setup, 1)
    await until('all are certified', () => again.certified.reduce((sum, batch) => sum + batch.transactions, 0) === 300)
    expect(await numbersOf(again.worker, again.certified)).toEqual(range(300))
    await until('the other reports them', () => other.reports.length >= again.certified.length)
    expect(await numbersOf(other.worker, again.certified)).toEqual(range(300))
  })
})

describe('startWorker', () => {
  it('a key outside the committee is refused, and nothing is made', async () => {
    const setup = await setUp(1)
    const store = join(setup.directory, 'store')
    const options = { keys: generateKeys(), committee: setup.committee, store, log: silent }
    expect(await code(startWorker(options))).toBe('ERR_NOT_IN_COMMITTEE')
    expect(existsSync(store)).toBe(false)
  })

  it('a store that is open is refused, in the same process too, and the worker that has it goes on', async () => {
    const [setup, other] = [await setUp(1), await setUp(1)]
    const { worker, certified } = await start(setup, 0)
    expect(await code(start(other, 0, { store: join(setup.directory, 'store-0') }))).toBe('ERR_STORE_LOCKED')
    await worker.submit(transactionOf(1, 100))
    await until('it certifies', () => certified.length === 1)
  })
})
