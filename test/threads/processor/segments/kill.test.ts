/**
 * kill -9 at each single step that a store does to its files: segments are made, written, flushed, filled again and
 * removed, batches are deleted, moved and replaced, and LMDB commits and flushes (support/threads/store-steps.mjs).
 *
 * Some steps of some hundred, by a seed (NARVAL_CRASH_SEED); all of them with NARVAL_CRASH_STEPS=all.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { encodeBase64 } from '../../../../src/shared/crypto/public-key.js'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { FLUSH_FAILURE_FILE } from '../../../../src/shared/store/flush-failure.js'
import { decodeIndexEntry, openDatabases } from '../../../../src/shared/store/format.js'
import { cellOf, UNIT_BYTES } from '../../../../src/shared/store/segments/cell.js'
import {
  SEGMENT_BYTES,
  SEGMENTS_PER_LIVE,
  SEGMENTS_SLACK,
  SEGMENTS_SPARE_MAX,
} from '../../../../src/shared/store/segments/limits.js'
import { segmentPath } from '../../../../src/shared/store/segments/read-cell.js'
import { Store } from '../../../../src/threads/processor/store.js'
import { segmentFiles, writeAt } from '../../../support/damaged-stores.js'
import {
  atStep,
  type KillAt,
  type Killed,
  killAtSteps,
  killsAtAllSteps,
  runKilled,
} from '../../../support/kill-steps.js'
import { inPages } from '../../../support/pages.js'
import { preloaded } from '../../../support/preload.js'
import { storeEvents } from '../../../support/store-events.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { OWN_KEY, WORKER_ID } from '../../../support/threads/processor-under-test.js'
import { digestOf, encodeBatch } from '../../../support/threads/stored-batch.mjs'
import { until } from '../../../support/until.js'

const WRITER = fileURLToPath(new URL('../../../support/threads/store-steps.mjs', import.meta.url))
/** Segments that the process finds; it moves what lies in some of them. */
const SEGMENTS = 5
const STEPS_SAMPLED = 6
/** A batch is kept for one Cleanup round. */
const RETENTION = 1

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

interface Prepared {
  readonly directory: string
  /** Digests of batches that the process wants to be kept: one in each segment. */
  readonly kept: readonly string[]
  readonly damaged: { readonly digest: string; readonly sequence: number; readonly bytes: number }
}

interface Opened {
  readonly store: Store
  /** What nobody wants to hear. */
  readonly said: string[]
}

function makeStore(directory: string): Opened {
  const said: string[] = []
  const store = new Store(
    { directory, authority: OWN_KEY, workerId: WORKER_ID, level: 'stored', retentionRounds: RETENTION },
    storeEvents({
      onFatal: (error) => said.push(error.message),
      onNotice: (text) => said.push(text),
    }),
  )
  return { store, said }
}

async function put(store: Store, sequence: number, length: number): Promise<Uint8Array> {
  const bytes = encodeBatch(sequence, length, WORKER_ID)
  const digest = digestOf(bytes, OWN_KEY)
  await store.put(digest, OWN_KEY, inPages([bytes])[0]!)
  return digest
}

/** A segment that was begun in one run is not filled by the next: two batches lie in each. Nothing is moved before `open`. */
async function prepared(): Promise<Prepared> {
  const directory = join(temporaryDirectory(), 'store')
  mkdirSync(directory)
  const kept: string[] = []
  const damaged = { sequence: 1, bytes: 50_000 }
  let digest = new Uint8Array()
  for (let segment = 0; segment < SEGMENTS; segment += 1) {
    const { store } = makeStore(directory)
    if (segment === 0) digest = new Uint8Array(await put(store, damaged.sequence, damaged.bytes))
    kept.push(hex(await put(store, 10 + segment, 40_000)))
    await put(store, 20 + segment, 60_000)
    await store.close()
  }
  const { index, root } = openDatabases(directory)
  const { byteLength, placed } = decodeIndexEntry(index.getBinary(digest)!)
  const { segment, unit } = cellOf(placed, byteLength)!
  await root.close()
  writeAt(directory, unit * UNIT_BYTES + 5_000, Buffer.alloc(100, 0xee), segmentPath(directory, segment))
  return { directory, kept, damaged: { ...damaged, digest: hex(digest) } }
}

/** Runs the process on a copy of the store, until it ends or is killed at a step. */
function run(from: Prepared, directory: string, preload: Readonly<Record<string, string>>, at: KillAt): Killed {
  execFileSync('cp', ['-r', '--sparse=always', from.directory, directory])
  const { damaged, kept } = from
  const options = { directory, author: hex(OWN_KEY), workerId: WORKER_ID, level: 'stored', kept, damaged }
  return runKilled(WRITER, options, preload, at)
}

/** What the process had said, and what may be gone by now. */
function toldBy(lines: readonly string[], { kept }: Prepared) {
  const stored = new Map<string, { stamp: bigint; isOwn: boolean }>(
    kept.map((digest) => [digest, { stamp: 0n, isOwn: false }]),
  )
  let round = 0n
  let reserved = 0n
  for (const line of lines) {
    const [word, name, stamp, whose] = line.split(' ')
    if (word === 'stored') stored.set(name!, { stamp: BigInt(stamp!), isOwn: whose === 'own' })
    else if (word === 'reporting') stored.get(name!)!.isOwn = false
    else if (word === 'cleanup') round = BigInt(name!)
    else if (word === 'range') reserved = BigInt(stamp!)
    else if (word !== 'done') throw new Error(`the process says ${line}`)
  }
  const names = [...stored.keys()].filter((name) => {
    const { isOwn, stamp } = stored.get(name)!
    return isOwn || stamp + BigInt(RETENTION) >= round
  })
  const own = [...stored.keys()].filter((name) => stored.get(name)!.isOwn)
  return { names, own, reserved, round, isReplaced: (digest: string) => stored.has(digest) }
}

function damagedIn(directory: string): { names: string[]; batches: number } {
  const names: string[] = []
  const { count } = checkStore(directory, { onDamaged: (name) => names.push(name), onProgress: () => {} })
  return { names, batches: count }
}

/** What must hold of a store whose process was killed, and of the run that follows. */
async function expectWhole(directory: string, lines: readonly string[], from: Prepared): Promise<void> {
  const told = toldBy(lines, from)
  const { digest } = from.damaged
  const damaged = damagedIn(directory).names
  const name = encodeBase64(Buffer.from(digest, 'hex'))
  expect(damaged.filter((one) => told.isReplaced(digest) || one !== name)).toEqual([])
  const { said, store } = makeStore(directory)
  await store.open()
  for (const stored of told.names) expect(store.get(Buffer.from(stored, 'hex')), `${stored} is there`).toBeDefined()
  for (const own of told.own) expect(store.isReported(Buffer.from(own, 'hex'))).toBe(false)
  expect((await store.reserveSequences(0)).start).toBeGreaterThanOrEqual(told.reserved)
  // What was being deleted is deleted with the next Cleanup, and what was being moved is moved.
  await store.cleanup(told.round + 1n)
  const rest = SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1
  await until('no more segments than there may be', () => {
    return segmentFiles(directory).length <= (SEGMENTS_PER_LIVE * store.bytes) / SEGMENT_BYTES + rest
  })
  expect(store.get(await put(store, 999, 70_000))).toBeDefined()
  const unreported = store.unreported({ from: 0n, before: 2n ** 63n }, 100)
  await store.markReported(unreported.map(({ digest }) => digest))
  await store.cleanup(100n)
  await until('nothing is stored any more', () => store.bytes === 0)
  await until('nothing is left of it', () => segmentFiles(directory).length <= SEGMENTS_SPARE_MAX + 1)
  await store.close()
  expect(said).toEqual([])
  expect(damagedIn(directory)).toEqual({ names: [], batches: 0 })
  expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(false)
}

it('at a step leaves all that was acknowledged, names nothing that is torn, and nothing that is never freed', async (test) => {
  const preload = preloaded('steps.c')
  if ('reason' in preload) return test.skip(preload.reason)
  const from = await prepared()
  const directory = join(temporaryDirectory(), 'store')
  const kinds = await killAtSteps(STEPS_SAMPLED, async (at) => {
    const ran = run(from, directory, preload, at)
    await atStep(ran, expectWhole(directory, ran.lines, from))
    rmSync(directory, { recursive: true })
    return ran
  })
  if (!killsAtAllSteps) return
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining([
      'create segments/N',
      'truncate segments/N',
      'write segments/N',
      'write segments/N torn',
      'flush segments/N',
      'flush segments',
      'write data.mdb',
      'flush data.mdb',
      'remove segments/N',
    ]),
  )
}, 3_600_000)
