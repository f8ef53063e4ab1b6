/**
 * A cell is used again when the index that does not name it any more is on the disk, and not before: otherwise a power cut
 * brings an entry back whose cell has another batch. LMDB's flushes take long here, and each write to a segment is held
 * against the index on the disk (support/threads/cell-reuse.mjs).
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { cellOf, UNIT_BYTES } from '../../../../src/shared/store/segments/cell.js'
import { segmentPath } from '../../../../src/shared/store/segments/read-cell.js'
import { openStore, writeAt } from '../../../support/damaged-stores.js'
import { inPages } from '../../../support/pages.js'
import { preloaded } from '../../../support/preload.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { OWN_KEY, WORKER_ID } from '../../../support/threads/processor-under-test.js'
import { digestOf, encodeBatch } from '../../../support/threads/stored-batch.mjs'

const WRITER = fileURLToPath(new URL('../../../support/threads/cell-reuse.mjs', import.meta.url))
/** A flush of LMDB's file takes so many ms longer: what a store writes at a commit, it writes within that. */
const FLUSH_MS = 500
const BYTES = 50_000

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

interface Prepared {
  readonly digests: Uint8Array[]
  readonly placed: bigint[]
}

/** A store of so many segments with one batch in each. */
async function prepare(directory: string, segments: number): Promise<Prepared> {
  const prepared: Prepared = { digests: [], placed: [] }
  for (let sequence = 1; sequence <= segments; sequence += 1) {
    // One that is not opened moves nothing.
    const store = openStore(directory)
    const bytes = encodeBatch(sequence, BYTES, WORKER_ID)
    const digest = digestOf(bytes, OWN_KEY)
    await store.put(digest, OWN_KEY, inPages([bytes])[0]!)
    prepared.digests.push(digest)
    prepared.placed.push(store.find(digest)!.placed)
    await store.close()
  }
  return prepared
}

it.each([
  ['deleted', 1, ['deleted']],
  ['deleted by a run that was killed before the flush', 1, ['deleted, then killed', 'next run']],
  ['moved', 4, ['moved']],
  ['damaged, and was stored anew', 1, ['replaced']],
])(
  'a batch that was %s: its cell is not used before the index on the disk has forgotten it',
  async (_, segments, runs) => {
    const preload = preloaded('steps.c')
    const directory = join(temporaryDirectory(), 'store')
    mkdirSync(directory)
    const { digests, placed } = await prepare(directory, segments)
    if (runs.includes('replaced')) {
      const { segment, unit } = cellOf(placed[0]!, BYTES)!
      writeAt(directory, unit * UNIT_BYTES + 5_000, Buffer.alloc(100, 0xee), segmentPath(directory, segment))
    }
    let said: string[] = []
    for (const how of runs) {
      const options = {
        directory,
        author: hex(OWN_KEY),
        workerId: WORKER_ID,
        how,
        digests: digests.map(hex),
        placed: placed.map(String),
        damaged: { digest: hex(digests[0]!), sequence: 1, bytes: BYTES },
      }
      const { signal, stderr, stdout } = spawnSync(process.execPath, [WRITER, JSON.stringify(options)], {
        encoding: 'utf8',
        timeout: 60_000,
        env: { ...process.env, ...preload, NARVAL_TEST_STEPS_IN: directory, NARVAL_TEST_STEPS_FLUSH: `${FLUSH_MS}` },
      })
      expect(signal, stderr).toBe('SIGKILL')
      said = stdout.split('\n').slice(0, -1)
    }
    expect(said.at(-1)).toBe('done')
    expect(said.filter((line) => !/^(written \d+|freed|done)$/.test(line))).toEqual([])
    expect(said.slice(said.indexOf('freed')).filter((line) => line.startsWith('written')).length).toBeGreaterThan(0)
  },
)
