/** What a batch is counted with is what the file grows by: a real store, written by its own writer. */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { storedBytes } from '../../../src/shared/store/stored-bytes.js'
import { Store } from '../../../src/threads/processor/store.js'
import { dataFile, segmentFiles } from '../../support/damaged-stores.js'
import { inPages } from '../../support/pages.js'
import { storeEvents } from '../../support/store-events.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

/** The same in every run: digests lie as they please, and so do the leaves that they fill. */
const digestOf = (n: number): Uint8Array => createHash('sha256').update(String(n)).digest()

/** Batches of each size: enough that pages which only the first and last batches need do not count. */
test.each([
  [69, 8_000],
  [340, 8_000],
  [1_000, 4_000],
  [1_986, 4_000],
  [1_987, 4_000],
  [4_072, 2_000],
  [4_096, 2_000],
  [16_383, 800],
  [16_384, 800],
  [20_000, 400],
  [500_000, 80],
])(
  'batches of %i bytes',
  async (byteLength, count) => {
    const directory = temporaryDirectory()
    const author = new Uint8Array(32).fill(1)
    let counted = 0
    const store = new Store(
      { directory, authority: author, workerId: 0, level: 'stored', retentionRounds: 0 },
      storeEvents({
        onBytes: (_, bytes) => {
          counted += bytes
        },
      }),
    )
    // Of a segment, what was written to: the disk has room for no more.
    const size = (): number =>
      statSync(dataFile(directory)).size +
      segmentFiles(directory).reduce((sum, file) => sum + statSync(file).blocks * 512, 0)
    const bytes = inPages([new Uint8Array(byteLength).fill(7)])[0]!
    const put = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 20) {
        await Promise.all(Array.from({ length: 20 }, (_, at) => store.put(digestOf(n + at), author, bytes)))
      }
    }
    await put(0, count / 4)
    const [grownFrom, countedFrom] = [size(), counted]
    await put(count / 4, count)
    const grown = size() - grownFrom
    expect(counted - countedFrom).toBe((count - count / 4) * storedBytes(byteLength))
    await store.close()
    // The file grows in steps of some pages. How full leaves are goes up and down as many of them are split at a time.
    expect(Math.abs(grown / (counted - countedFrom) - 1)).toBeLessThan(byteLength < 2_000 ? 0.1 : 0.06)
  },
  120_000,
)
