/** What callers hand to the library: each argument is checked at the door, by name, and a refusal leaves the worker as it was. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Logger, Worker, WorkerOptions } from '../../../src/index.js'
import { PEER_DISCOVERY_MAX } from '../../../src/main/worker/limits.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { freePorts } from '../../support/free-ports.js'
import { until } from '../../support/until.js'

const narval = (await import(
  new URL('../../../dist/index.js', import.meta.url).href
)) as typeof import('../../../src/index.js')

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
const anything = (value: unknown): never => value as never

/** Values of every kind but bytes; several of them have a length. */
const NO_BYTES: readonly [string, unknown][] = [
  ['undefined', undefined],
  ['null', null],
  ['a string', 'hello'],
  ['a number', 5],
  ['NaN', Number.NaN],
  ['a bigint', 2n ** 64n],
  ['a boolean', true],
  ['a symbol', Symbol('bytes')],
  ['an array', [1, 2, 300]],
  ['an array-like', { length: 3 }],
  ['an object', {}],
  ['a function', () => new Uint8Array(32)],
  ['an ArrayBuffer', new ArrayBuffer(32)],
  ['a SharedArrayBuffer', new SharedArrayBuffer(32)],
  ['a DataView', new DataView(new ArrayBuffer(32))],
  ['a Uint16Array', new Uint16Array(32)],
  ['an Int8Array', new Int8Array(32)],
  ['a Uint8ClampedArray', new Uint8ClampedArray(32)],
  ['a BigUint64Array', new BigUint64Array(4)],
  ['what only inherits from Uint8Array', Object.create(Uint8Array.prototype)],
  ['a proxy of bytes', new Proxy(new Uint8Array(32), {})],
  ['what calls itself Uint8Array', { length: 3, [Symbol.toStringTag]: 'Uint8Array' }],
]

function detached(): Uint8Array {
  const bytes = new Uint8Array(32)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  return bytes
}

/** Bytes of a length that an argument does not have. */
const WRONG_LENGTHS: readonly [string, Uint8Array][] = [
  ['no bytes', new Uint8Array(0)],
  ['31 bytes', new Uint8Array(31)],
  ['33 bytes', new Uint8Array(33)],
  ['an empty Buffer', Buffer.alloc(0)],
  ['detached bytes', detached()],
]

const NO_PATHS: readonly unknown[] = [
  undefined,
  null,
  5,
  {},
  [],
  Buffer.from('x'),
  new URL('file:///x'),
  true,
  Symbol('x'),
]

/** The error that a call or its promise ends with; undefined if it ends without. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error
  }
}

async function refusedWith(type: typeof TypeError | typeof RangeError, argument: string, call: () => unknown) {
  const error = await errorOf(call)
  expect(error, argument).toBeInstanceOf(type)
  expect((error as Error).message).toMatch(new RegExp(`^${argument.replaceAll(/[.[\]]/g, '\\$&')}: `))
}

const keys = narval.generateKeys()
const directory = mkdtempSync(join(tmpdir(), 'narval-test-'))
let committee: ReturnType<typeof narval.parseCommittee>
let options: WorkerOptions
let worker: Worker

beforeAll(async () => {
  committee = narval.parseCommittee(localCommittee([keys.name], 1, await freePorts(5)))
  options = {
    keys,
    committee,
    store: join(directory, 'store'),
    parameters: { ackLevel: 'stored', maxBatchDelayMs: 10 },
    log: silent,
    primary: () => {},
  }
  worker = await narval.startWorker(options)
})

afterAll(async () => {
  await worker.close()
  rmSync(directory, { recursive: true, force: true })
})

/** Certifies a transaction and reads it back. */
async function certify(transaction: Uint8Array): Promise<{ digest: Uint8Array; content: Uint8Array[] }> {
  const reader = worker.certified[Symbol.asyncIterator]()
  await worker.submit(transaction)
  const { value } = await reader.next()
  await reader.return!()
  const batch = await worker.read(value.digest)
  return { digest: value.digest, content: [...narval.transactions(batch!.bytes)].map((each) => Uint8Array.from(each)) }
}

async function isAlive(): Promise<void> {
  const { content } = await certify(Uint8Array.of(1, 2, 3))
  expect(content).toEqual([Uint8Array.of(1, 2, 3)])
  expect(worker.health().ok).toBe(true)
}

describe('submit', () => {
  it('refuses all that is no Uint8Array, and certifies none of it', async () => {
    for (const [, value] of NO_BYTES) {
      await refusedWith(TypeError, 'transaction', () => worker.submit(anything(value)))
    }
    expect(await worker.metrics()).toMatch(/^narval_transactions_certified_total 0$/m)
    await isAlive()
  })

  it('refuses what is empty, detached too', async () => {
    for (const bytes of [new Uint8Array(0), Buffer.alloc(0), detached()]) {
      expect(await errorOf(() => worker.submit(bytes))).toMatchObject({ code: 'ERR_TRANSACTION_EMPTY' })
    }
    await isAlive()
  })

  it('takes bytes of any realm, over any buffer, and part of one', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(8), 2, 3)
    shared.set([7, 8, 9])
    const foreign = runInNewContext('Uint8Array.of(7, 8, 9)') as Uint8Array
    for (const bytes of [Buffer.from([7, 8, 9]), shared, foreign, Uint8Array.of(1, 7, 8, 9, 2).subarray(1, 4)]) {
      expect((await certify(bytes)).content).toEqual([Uint8Array.of(7, 8, 9)])
    }
  })
})

describe('read', () => {
  it('refuses all that is no digest', async () => {
    for (const [, value] of NO_BYTES) await refusedWith(TypeError, 'digest', () => worker.read(anything(value)))
    for (const [, value] of WRONG_LENGTHS) await refusedWith(RangeError, 'digest', () => worker.read(value))
    await isAlive()
  })

  it('takes a digest of any realm, over any buffer', async () => {
    const { digest } = await certify(Uint8Array.of(5))
    const shared = new Uint8Array(new SharedArrayBuffer(64), 16, 32)
    shared.set(digest)
    const foreign = runInNewContext('new Uint8Array(digest)', { digest: [...digest] }) as Uint8Array
    for (const same of [Buffer.from(digest), shared, foreign]) {
      expect((await worker.read(same))?.author).toEqual(keys.publicKey)
    }
  })
})

describe('toWorker', () => {
  const good = { type: 'Synchronize', digests: [new Uint8Array(32)], target: keys.publicKey }

  it('refuses messages that the wire could not carry', async () => {
    for (const value of [undefined, null, 'Cleanup', 5, [], () => {}, new Uint8Array(3)]) {
      await refusedWith(TypeError, 'message', () => worker.toWorker(anything(value)))
    }
    for (const type of [undefined, null, 1]) {
      await refusedWith(TypeError, 'message.type', () => worker.toWorker(anything({ type })))
    }
    await refusedWith(RangeError, 'message.type', () => worker.toWorker(anything({ type: 'cleanup', round: 1n })))
    for (const round of [undefined, null, 5, '5', Number.NaN]) {
      await refusedWith(TypeError, 'message.round', () => worker.toWorker(anything({ type: 'Cleanup', round })))
    }
    for (const round of [-1n, 2n ** 64n]) {
      await refusedWith(RangeError, 'message.round', () => worker.toWorker({ type: 'Cleanup', round }))
    }
    for (const digests of [undefined, null, 'abc', new Uint8Array(32), { length: 1 }, new Set()]) {
      await refusedWith(TypeError, 'message.digests', () => worker.toWorker(anything({ ...good, digests })))
    }
    for (const [, digest] of NO_BYTES) {
      const digests = [new Uint8Array(32), digest]
      await refusedWith(TypeError, 'message.digests[1]', () => worker.toWorker(anything({ ...good, digests })))
    }
    await refusedWith(TypeError, 'message.digests[0]', () =>
      worker.toWorker(anything({ ...good, digests: new Array(2) })),
    )
    const many = new Array(65_537).fill(new Uint8Array(32))
    await refusedWith(RangeError, 'message.digests', () => worker.toWorker(anything({ ...good, digests: many })))
    for (const [, digest] of WRONG_LENGTHS) {
      await refusedWith(RangeError, 'message.digests[0]', () =>
        worker.toWorker(anything({ ...good, digests: [digest] })),
      )
    }
    for (const [, target] of NO_BYTES) {
      await refusedWith(TypeError, 'message.target', () => worker.toWorker(anything({ ...good, target })))
    }
    for (const [, target] of WRONG_LENGTHS) {
      await refusedWith(RangeError, 'message.target', () => worker.toWorker(anything({ ...good, target })))
    }
    await isAlive()
  })

  it('takes rounds from 0 to the end of a u64, and targets that nobody knows', async () => {
    worker.toWorker({ type: 'Cleanup', round: 0n })
    worker.toWorker(anything({ ...good, target: new Uint8Array(32) }))
    worker.toWorker(anything({ ...good, digests: [] }))
    await isAlive()
  })
})

describe('startWorker', () => {
  const refusedOptions: readonly [typeof TypeError | typeof RangeError, string, unknown[], string?][] = [
    [TypeError, 'keys', [undefined, null, 'keys.json', 5, [], new Uint8Array(32)]],
    [TypeError, 'keys', [{}, { name: keys.name }, { ...keys, publicKey: keys.name }], 'keys.publicKey'],
    [
      TypeError,
      'keys',
      [
        { ...keys, seed: [...keys.seed] },
        { ...keys, seed: undefined },
      ],
      'keys.seed',
    ],
    [RangeError, 'keys', [{ ...keys, seed: new Uint8Array(31) }], 'keys.seed'],
    [RangeError, 'keys', [{ ...keys, publicKey: new Uint8Array(32) }], 'keys.publicKey'],
    [RangeError, 'keys', [{ ...keys, name: 'me' }], 'keys.name'],
    [TypeError, 'committee', [undefined, null, 'committee.json', {}, [], { authorities: {} }, { authorities: [] }]],
    [TypeError, 'store', NO_PATHS as unknown[]],
    [RangeError, 'store', ['', 'a\0b']],
    [TypeError, 'workerId', [null, '0', 0n, {}, []]],
    [RangeError, 'workerId', [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32]],
    [TypeError, 'parameters', [null, 'parameters.json', 5, []]],
    [TypeError, 'networkKeySeed', NO_BYTES.slice(1).map(([, value]) => value)],
    [RangeError, 'networkKeySeed', WRONG_LENGTHS.map(([, value]) => value)],
    [TypeError, 'bind', [null, 4000, {}, ['127.0.0.1']]],
    [RangeError, 'bind', ['', '127.0.0.1:80', '[::1]', '1.2.3']],
    [TypeError, 'clients', [null, 1, 'yes', {}]],
    [TypeError, 'metrics', [null, ':9100', 9100, []]],
    [TypeError, 'metrics', [{}, { port: 9100 }], 'metrics.host'],
    [TypeError, 'metrics', [{ host: '127.0.0.1' }, { host: '127.0.0.1', port: '9100' }], 'metrics.port'],
    [
      RangeError,
      'metrics',
      [
        { host: '127.0.0.1', port: 65_536 },
        { host: '127.0.0.1', port: -1 },
      ],
      'metrics.port',
    ],
    [TypeError, 'peerDiscovery', [null, () => {}, {}, 'mdns']],
    [TypeError, 'peerDiscovery', [[undefined], ['mdns']], 'peerDiscovery[0]'],
    [RangeError, 'peerDiscovery', [Array.from({ length: PEER_DISCOVERY_MAX + 1 }, () => () => {})]],
    // So many may be: what is refused is the last of them.
    [TypeError, 'peerDiscovery', [Array(PEER_DISCOVERY_MAX).fill('mdns')], 'peerDiscovery[0]'],
    [TypeError, 'primary', [null, {}, 5, []]],
    [RangeError, 'primary', ['127.0.0.1:4001', '', 'Reference']],
    [TypeError, 'benchmark', [null, 1, 'true']],
    [TypeError, 'poisonFreedSlots', [null, 0]],
    [TypeError, 'log', [null, 'info', () => {}]],
    [TypeError, 'log', [{}, { ...silent, error: undefined }], 'log.error'],
    [TypeError, 'log', [{ ...silent, trace: 'x' }], 'log.trace'],
  ]

  it('refuses each option that it cannot use, before anything is made', async () => {
    const store = join(directory, 'never')
    for (const [type, name, values, argument] of refusedOptions) {
      for (const value of values) {
        const start = () => narval.startWorker({ ...options, store, [name]: value } as WorkerOptions)
        await refusedWith(type, argument ?? name, start)
      }
    }
    expect(existsSync(store)).toBe(false)
  })

  it('refuses what is no options, and options that it does not know', async () => {
    for (const value of [undefined, null, 'options', 5, [], () => {}]) {
      await refusedWith(TypeError, 'options', () => narval.startWorker(anything(value)))
    }
    const start = () => narval.startWorker({ ...options, workerID: 1 } as WorkerOptions)
    expect(await errorOf(start)).toMatchObject({ message: expect.stringContaining('options: unknown "workerID"') })
  })

  it('refuses parameters by name, and a committee that lacks something', async () => {
    const wrong: [object, string][] = [
      [{ parameters: { batchBytesMax: '500000' } }, 'parameters: batchBytesMax: expected an integer'],
      [{ parameters: { batch_size: 500_000 } }, 'parameters: unknown "batch_size"'],
      [{ parameters: { ownSlots: -1 } }, 'parameters: ownSlots: expected an integer'],
      [{ parameters: { retentionRounds: 1 } }, 'parameters: retentionRounds: expected 0'],
    ]
    for (const [change, message] of wrong) {
      const error = await errorOf(() => narval.startWorker({ ...options, ...change }))
      expect(error).toMatchObject({ code: 'ERR_PARAMETERS_MALFORMED', message: expect.stringContaining(message) })
    }
    const [authority] = committee.authorities
    const hollow = { authorities: [{ ...authority, workers: undefined }], indexOf: () => 0 }
    await refusedWith(TypeError, 'committee', () => narval.startWorker({ ...options, committee: anything(hollow) }))
    const posted = structuredClone({ authorities: committee.authorities })
    await refusedWith(TypeError, 'committee', () => narval.startWorker({ ...options, committee: anything(posted) }))
  })

  it('never shows a secret that was handed in as another thing', async () => {
    const secret = 'c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA=='
    for (const name of ['keys', 'committee', 'networkKeySeed', 'bind', 'metrics', 'log']) {
      const error = await errorOf(() => narval.startWorker({ ...options, [name]: secret } as WorkerOptions))
      expect((error as Error).message).not.toContain(secret.slice(0, 8))
    }
  })
})

describe('a worker that was not told where to listen', () => {
  it('listens on loopback alone, and not for clients', async () => {
    const { transactions: clients, workerToWorker } = committee.worker(0, 0)
    expect(await connects('127.0.0.1', workerToWorker.port)).toBe(true)
    // Another address of this machine, which a listener on every interface would answer on.
    expect(await connects('127.0.0.2', workerToWorker.port)).toBe(false)
    expect(await connects('127.0.0.1', clients.port)).toBe(false)
  })
})

it('a worker whose committee is on other machines, and that was told no address, warns that they do not reach it', async () => {
  const [own, other] = [narval.generateKeys(), narval.generateKeys()]
  const file = localCommittee([own.name, other.name], 1, await freePorts(10))
  const elsewhere = JSON.parse(JSON.stringify(file).replaceAll('127.0.0.1', '10.0.0.7')) as unknown
  const warnings: string[] = []
  const alone = await narval.startWorker({
    ...options,
    keys: own,
    committee: narval.parseCommittee(elsewhere),
    store: join(directory, 'elsewhere'),
    log: { ...silent, warn: (text) => void warnings.push(text) },
  })
  await alone.close()
  expect(warnings.filter((line) => line.includes('10.0.0.7'))).toEqual([
    'Listening on 127.0.0.1 alone, since no `bind` was given: other machines do not reach this node at 10.0.0.7',
  ])
})

it('a worker that was told so listens for clients, where it was told', async () => {
  const others = narval.generateKeys()
  const committee = narval.parseCommittee(localCommittee([others.name], 1, await freePorts(5)))
  const lines: string[] = []
  const listening = await narval.startWorker({
    ...options,
    keys: others,
    committee,
    store: join(directory, 'listening'),
    bind: '127.0.0.2',
    clients: true,
    log: { ...silent, info: (text) => void lines.push(text) },
  })
  try {
    const { port } = committee.worker(0, 0).transactions
    expect(await connects('127.0.0.2', port)).toBe(true)
    expect(await connects('127.0.0.1', port)).toBe(false)
    await until('it says so', () => lines.some((line) => line.startsWith('Listening for transactions on')))
  } finally {
    await listening.close()
  }
})

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}

describe('what reads files', () => {
  it.each(['readKeys', 'readCommittee', 'readParameters'] as const)('%s refuses what is no path', async (name) => {
    for (const path of NO_PATHS) await refusedWith(TypeError, 'path', () => narval[name](anything(path)))
    for (const path of ['', 'a\0b']) await refusedWith(RangeError, 'path', () => narval[name](path))
  })

  it('writeKeys refuses what is no path and what are no keys, and writes nothing', async () => {
    const path = join(directory, 'keys.json')
    for (const wrong of NO_PATHS) await refusedWith(TypeError, 'path', () => narval.writeKeys(anything(wrong), keys))
    for (const wrong of [undefined, null, 'seed', 5]) {
      await refusedWith(TypeError, 'keys', () => narval.writeKeys(path, anything(wrong)))
    }
    await refusedWith(TypeError, 'keys.publicKey', () => narval.writeKeys(path, anything({})))
    await refusedWith(RangeError, 'keys.seed', () => narval.writeKeys(path, { ...keys, seed: new Uint8Array(5) }))
    expect(existsSync(path)).toBe(false)
  })

  it.each([
    ['parseKeys', 'ERR_KEYS_MALFORMED'],
    ['parseCommittee', 'ERR_COMMITTEE_MALFORMED'],
    ['parseParameters', 'ERR_PARAMETERS_MALFORMED'],
  ] as const)('%s refuses what is no content of such a file', async (name, code) => {
    for (const json of [undefined, null, 'text', 5, [], () => {}, new Uint8Array(3), { unknown: 1 }]) {
      expect(await errorOf(() => narval[name](json))).toMatchObject({ code })
    }
    for (const where of [null, 5, {}]) await refusedWith(TypeError, 'where', () => narval[name]({}, anything(where)))
  })
})

describe('functions over a batch', () => {
  it.each(['transactions', 'readBatchHeader'] as const)('%s refuses what is no Uint8Array', async (name) => {
    for (const [, value] of NO_BYTES) await refusedWith(TypeError, 'bytes', () => narval[name](anything(value)))
  })

  it('refuse what is too short for a batch', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(63), detached()]) {
      await refusedWith(RangeError, 'bytes', () => narval.readBatchHeader(bytes))
      expect(await errorOf(() => narval.transactions(bytes))).toMatchObject({ code: 'ERR_BATCH_MALFORMED' })
    }
  })
})

describe('the other functions', () => {
  it('v8FlagsFor refuses what is no version', async () => {
    for (const version of [undefined, null, 20, {}, ['20']]) {
      await refusedWith(TypeError, 'nodeVersion', () => narval.v8FlagsFor(anything(version)))
    }
    await refusedWith(RangeError, 'nodeVersion', () => narval.v8FlagsFor(''))
  })

  it('createLogger refuses another level, module or destination', async () => {
    for (const module of [undefined, null, 5]) {
      await refusedWith(TypeError, 'module', () => narval.createLogger(anything(module)))
    }
    for (const level of [null, 3, {}]) {
      await refusedWith(TypeError, 'level', () => narval.createLogger('a', anything(level)))
    }
    await refusedWith(RangeError, 'level', () => narval.createLogger('a', anything('verbose')))
    for (const destination of [null, 2, {}, { write: 'x' }]) {
      await refusedWith(TypeError, 'destination.write', () => narval.createLogger('a', 'info', anything(destination)))
    }
  })
})
