/**
 * Copies the batches that lie in segments beside a worker's LMDB, to the places that the index of the copy names.
 *
 * A running worker goes on meanwhile: it may have deleted or moved a batch since the index was copied, and filled its cell
 * with another. So each batch is checked by its digest. One that is not in its cell is looked up in the store as it is now:
 * if it was moved, it is copied from there; if it was deleted, it is taken out of the copy; otherwise it is damaged.
 */
import { closeSync, constants, fsyncSync, ftruncateSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BATCH_SIZE_MAX } from '../../constants.js'
import { BatchVerifier } from '../../wire/batch-verifier.js'
import { flushDirectory } from '../flushed-file.js'
import { decodeIndexEntry, digestOfKey, type IndexEntry, leastKey } from '../format.js'
import { type Cell, cellOf, placeOf, UNIT_BYTES } from '../segments/cell.js'
import { SEGMENT_BYTES } from '../segments/limits.js'
import { readCell, SEGMENTS_DIRECTORY, segmentPath } from '../segments/read-cell.js'
import { openStoreReader, type StoreReader } from '../store-reader.js'
import { StoreFile } from '../store-snapshot.js'
import { writing } from './backup-error.js'
import { writeAll } from './copy-environment.js'
import { BACKUP_BYTES_PER_TURN, BACKUP_CHUNK } from './limits.js'

export interface CellsCopied {
  readonly count: number
  readonly bytes: number
  /** Batches that are not in the copy: they were deleted meanwhile, or are damaged. */
  readonly absent: readonly AbsentBatch[]
}

export interface AbsentBatch {
  readonly digest: Uint8Array
  readonly entry: IndexEntry
  readonly isDamaged: boolean
}

export interface CopyCellsOptions {
  readonly onProgress: (count: number, bytes: number) => void
  readonly signal: AbortSignal
}

export async function copyCells(source: string, target: string, options: CopyCellsOptions): Promise<CellsCopied> {
  const reader = openStoreReader(source)
  const index = new StoreFile(target)
  const segments = new SegmentWriter(target)
  const verifier = new BatchVerifier(BATCH_SIZE_MAX)
  const absent: AbsentBatch[] = []
  let [count, bytes, sinceTurn] = [0, 0, 0]
  try {
    for (const { cell, digest, entry } of cellsIn(index)) {
      const inCell = readCell(source, cell, entry.byteLength)
      const found = inCell && verifier.isWhole(inCell, entry.author, digest) ? inCell : lookUp(reader, digest)
      if (found === undefined || found === 'damaged') absent.push({ digest, entry, isDamaged: found === 'damaged' })
      else {
        writing(target, () => segments.write(cell, found))
        count += 1
        bytes += found.length
      }
      sinceTurn += entry.byteLength
      if (sinceTurn < BACKUP_BYTES_PER_TURN) continue
      sinceTurn = 0
      options.onProgress(count, bytes)
      await nextTurn()
      options.signal.throwIfAborted()
    }
    writing(target, () => segments.finish())
    return { count, bytes, absent }
  } finally {
    segments.close()
    index.close()
    reader.close()
  }
}

/** As the store has it now; undefined if it was deleted. */
function lookUp(reader: StoreReader, digest: Uint8Array): Uint8Array | 'damaged' | undefined {
  const batch = reader.get(digest)
  if (batch === undefined) return undefined
  return batch.isWhole ? batch.bytes : 'damaged'
}

/** What lies in segments by the index of the copy, which nobody changes, segment by segment and cell by cell. */
function* cellsIn(file: StoreFile): Generator<{ cell: Cell; digest: Uint8Array; entry: IndexEntry }> {
  // Behind what lies in LMDB itself.
  let after: Uint8Array = leastKey(placeOf({ segment: 0, unit: 0 }) - 1n).fill(0xff, 8)
  for (;;) {
    const found = file.read((snapshot) =>
      snapshot.entries('batches', BACKUP_CHUNK, { after }).map(({ key }) => {
        const digest = digestOfKey(key)
        const value = snapshot.get('index', digest)
        return { key: new Uint8Array(key), digest, entry: value && decodeIndexEntry(value) }
      }),
    )
    for (const { digest, entry, key } of found) {
      const cell = entry && cellOf(entry.placed, entry.byteLength)
      // Another place than the index has is damage of the store, which `check` names.
      if (cell !== undefined && Buffer.compare(key.subarray(0, 8), leastKey(entry!.placed).subarray(0, 8)) === 0) {
        yield { cell, digest, entry: entry! }
      }
    }
    if (found.length < BACKUP_CHUNK) return
    after = found.at(-1)!.key
  }
}

/** Writes cells to segments of their whole length, one segment after another. */
class SegmentWriter {
  private readonly directory: string
  private open: { readonly segment: number; readonly fd: number } | undefined

  constructor(directory: string) {
    this.directory = directory
    writing(directory, () => mkdirSync(join(directory, SEGMENTS_DIRECTORY)))
  }

  write({ segment, unit }: Cell, bytes: Uint8Array): void {
    if (this.open?.segment !== segment) {
      this.flush()
      const fd = openSync(segmentPath(this.directory, segment), constants.O_CREAT | constants.O_RDWR)
      this.open = { segment, fd }
      ftruncateSync(this.open.fd, SEGMENT_BYTES)
    }
    writeAll(this.open.fd, bytes, unit * UNIT_BYTES)
  }

  finish(): void {
    this.flush()
    flushDirectory(join(this.directory, SEGMENTS_DIRECTORY))
  }

  close(): void {
    if (this.open !== undefined) closeSync(this.open.fd)
    this.open = undefined
  }

  private flush(): void {
    if (this.open !== undefined) fsyncSync(this.open.fd)
    this.close()
  }
}
