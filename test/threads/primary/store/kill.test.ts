/**
 * kill -9 at each single step that a primary's store does to its files: the marker of a new authority, the first start, each
 * kind of write of a turn, deletion, restarts, the start of a recovered store, and the copy after a flush that failed.
 *
 * Some steps by a seed (NARVAL_CRASH_SEED); all of them with NARVAL_CRASH_STEPS=all.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { META_STORE_ID } from '../../../../src/shared/store/format.js'
import { lockStore } from '../../../../src/shared/store/lock.js'
import { openPrimaryDatabases } from '../../../../src/shared/store/primary/format.js'
import { FRESH_FILE, writeFreshMarker } from '../../../../src/shared/store/primary/fresh-marker.js'
import { encodeCertificate } from '../../../../src/shared/wire/primary/certificate.js'
import { encodeAttestedCheckpoint } from '../../../../src/shared/wire/primary/checkpoint.js'
import { headerId } from '../../../../src/shared/wire/primary/header-id.js'
import { encodeVote } from '../../../../src/shared/wire/primary/vote.js'
import { RecordChain } from '../../../../src/threads/primary/commit-log/record-chain.js'
import type { PrimaryStore } from '../../../../src/threads/primary/store/primary-store.js'
import type { Write } from '../../../../src/threads/primary/store/writes.js'
import { atStep, killAtSteps, killsAtAllSteps, runKilled } from '../../../support/kill-steps.js'
import { preloaded } from '../../../support/preload.js'
import { openPrimaryStore, readLog } from '../../../support/primary-stores.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { OPTIONS, runStages, stagesOf } from '../../../support/threads/primary-script.mjs'

const WRITER = fileURLToPath(new URL('../../../support/threads/primary-steps.mjs', import.meta.url))
const STEPS_SAMPLED = 5
/** A flush fails behind this many stages: the log has several parts by then. */
const FAILED_AT = 3
/** All that may be in the directory of a store that was opened and closed. */
const FILES = ['data.mdb', 'lock.mdb', 'narval.lock']
const { authority } = OPTIONS.settings

const stages = stagesOf({ encodeAttestedCheckpoint, encodeCertificate, encodeVote, headerId })

/** Whoever adds a kind of write adds it here, and then to the script. */
const KINDS: Readonly<Record<Write['type'], true>> = {
  'own-header': true,
  vote: true,
  certificate: true,
  payload: true,
  'payload-done': true,
  'worker-store': true,
  'own-batch': true,
  'own-batch-done': true,
  commits: true,
  evidence: true,
  signing: true,
  collected: true,
  'payload-complete': true,
  'checkpoint-signed': true,
  'checkpoint-attested': true,
  fetched: true,
  joined: true,
}

/** Where a process begins. */
interface Begins {
  readonly preload: Readonly<Record<string, string>>
  /** What a store holds that nobody disturbs: at first, and after each stage. */
  readonly expected: readonly Held[]
  /** Makes the store that it finds. */
  readonly prepare?: (directory: string) => void
  readonly options: { readonly from: number; readonly isFlushFailed?: boolean }
}

/** What a store holds, and the index of the oldest commit. */
interface Held {
  readonly contents: string
  readonly first: number
}

function openIn(directory: string) {
  return (options: { isRecovered?: boolean }) => {
    const onNotice = (text: string): void => {
      if (!/flush of the store failed|Copied and flushed|: 0 are damaged/.test(text)) throw new Error(text)
    }
    return openPrimaryStore(directory, { ...OPTIONS, ...options }, { onNotice })
  }
}

/** All entries of all databases, but for the store's id. */
async function contentsOf(directory: string): Promise<string> {
  const { root, ...databases } = openPrimaryDatabases(directory)
  const lines: string[] = []
  for (const [name, database] of Object.entries(databases)) {
    for (const { key, value } of database.getRange({})) {
      if (Buffer.compare(key, META_STORE_ID) === 0) continue
      const text =
        value.length > 64 ? createHash('sha256').update(value).digest('hex') : Buffer.from(value).toString('hex')
      lines.push(`${name} ${Buffer.from(key).toString('hex')} ${text}`)
    }
  }
  await root.close()
  return lines.join('\n')
}

/** The log has each index once, from the oldest on; `check` finds nothing. */
function expectDense(directory: string, first: number): void {
  const indices = readLog(directory, first - 1).map((text) => Number(text.split('\n')[0]))
  expect(indices).toEqual(indices.map((_, n) => first + n))
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  expect(damaged).toEqual([])
}

/** What a store holds that nobody disturbs: at first, and after each stage. */
async function runUndisturbed(): Promise<Held[]> {
  const directory = temporaryDirectory()
  writeFreshMarker(directory, authority)
  const open = openIn(directory)
  await (await open({})).close()
  const expected = [{ contents: await contentsOf(directory), first: 1 }]
  let index = 0
  for (const [at, stage] of stages.entries()) {
    await (await runStages(stages.slice(0, at + 1), at, open, () => {}, RecordChain)).close()
    if (stage.writes?.some(({ type }) => type === 'commits' || type === 'fetched')) index += 1
    expected.push({ contents: await contentsOf(directory), first: Math.max(1, index - OPTIONS.retentionCommits! + 1) })
  }
  expectDense(directory, expected.at(-1)!.first)
  return expected
}

/** What a start without the store's file may sign: nothing, if there was a start before that may have signed. */
async function expectNotFreshTwice(directory: string): Promise<void> {
  const copy = join(temporaryDirectory(), 'lost')
  mkdirSync(copy)
  for (const name of readdirSync(directory)) {
    if (!name.endsWith('.mdb')) cpSync(join(directory, name), join(copy, name))
  }
  const store = await openIn(copy)({})
  expect(store.state().signing).toEqual({ state: 'recovering' })
  await store.close()
  rmSync(copy, { recursive: true })
}

/** What must hold of a store whose process was killed, of the next run, and of what that leaves. */
async function expectWhole(directory: string, lines: readonly string[], begins: Begins): Promise<void> {
  const { expected, options } = begins
  const told = options.from + lines.filter((line) => line.startsWith('durable ')).length
  const isOpened = lines.includes('opened')
  if (isOpened) await expectNotFreshTwice(directory)
  lockStore(directory).release()
  // Who makes the keys makes the marker, unless it is there.
  const isMarked = options.from > 0 || lines.includes('marked') || existsSync(join(directory, FRESH_FILE))
  if (!isMarked) writeFreshMarker(directory, authority)
  const open = openIn(directory)
  const store: PrimaryStore = await open({})
  await store.close()
  expect(readdirSync(directory).sort()).toEqual(FILES)
  const contents = await contentsOf(directory)
  // The whole of a turn or none of it, and of all that was told nothing is missing.
  const at = expected.findIndex((stage, n) => n >= told && stage.contents === contents)
  expect(at, `not what it holds after stage ${told}, or after one behind it`).toBeGreaterThanOrEqual(told)
  expect(at).toBeLessThanOrEqual(told + 1)
  expectDense(directory, expected[at]!.first)
  await expectNotFreshTwice(directory)
  await (await runStages(stages, at, open, () => {}, RecordChain)).close()
  expect(await contentsOf(directory)).toBe(expected.at(-1)!.contents)
  expectDense(directory, expected.at(-1)!.first)
  expect(readdirSync(directory).sort()).toEqual(FILES)
}

/** Kills a process that begins at a stage, at its steps, and looks at what each leaves. */
async function killing(from: Begins, sampled: number): Promise<Map<string, number>> {
  const directory = join(temporaryDirectory(), 'store')
  return killAtSteps(sampled, async (at) => {
    await from.prepare?.(directory)
    const ran = runKilled(WRITER, { directory, ...from.options }, from.preload, at)
    await atStep(ran, expectWhole(directory, ran.lines, from))
    rmSync(directory, { recursive: true })
    return ran
  })
}

it('is tried with every kind of write that a turn has', () => {
  const written = new Set(stages.flatMap(({ writes = [] }) => writes.map(({ type }) => type)))
  expect([...written].sort()).toEqual(Object.keys(KINDS).sort())
})

it('at a step leaves whole turns, all that was told, a marker that counts once, and no file that nobody deletes', async (test) => {
  const preload = preloaded('steps.c')
  if ('reason' in preload) return test.skip(preload.reason)
  const kinds = await killing({ preload, expected: await runUndisturbed(), options: { from: 0 } }, STEPS_SAMPLED)
  if (!killsAtAllSteps) return
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining([
      'mkdir .',
      'create narval.lock',
      'truncate narval.lock',
      'create fresh.new',
      'write fresh.new',
      'flush fresh.new',
      'link fresh',
      'remove fresh.new',
      'flush .',
      'create data.mdb',
      'write data.mdb',
      'write data.mdb torn',
      'flush data.mdb',
      'remove fresh',
    ]),
  )
}, 3_600_000)

it('at a step of the copy after a flush that failed loses nothing either, and the copy is made until it is whole', async (test) => {
  const preload = preloaded('steps.c')
  if ('reason' in preload) return test.skip(preload.reason)
  const expected = await runUndisturbed()
  const before = join(temporaryDirectory(), 'before')
  mkdirSync(before)
  writeFreshMarker(before, authority)
  await (await runStages(stages.slice(0, FAILED_AT), 0, openIn(before), () => {}, RecordChain)).close()
  const prepare = (directory: string): void => cpSync(before, directory, { recursive: true })
  const kinds = await killing(
    { preload, expected, prepare, options: { from: FAILED_AT, isFlushFailed: true } },
    STEPS_SAMPLED,
  )
  if (!killsAtAllSteps) return
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining([
      'create flush-failed',
      'write flush-failed',
      'flush flush-failed',
      'create data.mdb.copy',
      'write data.mdb.copy',
      'write data.mdb.copy torn',
      'flush data.mdb.copy',
      'rename data.mdb.copy',
      'remove flush-failed',
    ]),
  )
}, 3_600_000)
