/**
 * A process whose store frees cells, on a machine where a flush of LMDB's file takes long (preload/steps.c), and takes new
 * batches meanwhile. It says which writes go to a cell that the index on the disk still names.
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pageMemory, wholePages } from '../../../dist/shared/memory/page-memory.js'
import { decodeIndexEntry } from '../../../dist/shared/store/format.js'
import { currentSnapshot, readMetaPages } from '../../../dist/shared/store/meta-page.js'
import { cellOf, SEGMENT_UNITS, UNIT_BYTES } from '../../../dist/shared/store/segments/cell.js'
import { StoreFile, StoreSnapshot } from '../../../dist/shared/store/store-snapshot.js'
import { openSegmentDisk } from '../../../dist/threads/processor/segments/segment-disk.js'
import { Store } from '../../../dist/threads/processor/store.js'
import { digestOf, encodeBatch } from './stored-batch.mjs'

const { directory, author, workerId, how, digests, placed, damaged } = JSON.parse(process.argv[2])
const key = Buffer.from(author, 'hex')
const say = (line) => writeSync(1, `${line}\n`)
const BIG_BYTES = 8 * 1024 * 1024
const memory = pageMemory(BIG_BYTES + 1_000_000)
let at = BIG_BYTES
let sequence = 1_000

/** The entries of the index that a power cut would leave now. */
function onTheDisk() {
  const path = join(directory, 'data.mdb')
  const fd = openSync(path, 'r')
  try {
    for (;;) {
      const pages = readMetaPages(fd, path)
      const { meta } = currentSnapshot(pages, 1n)
      const entries = new StoreSnapshot(fd, path, fstatSync(fd).size, meta).entries('index', Number.POSITIVE_INFINITY)
      const isSame = readMetaPages(fd, path).commits.every(({ txnid }, n) => txnid === pages.commits[n].txnid)
      if (isSame) return entries.map(({ value }) => decodeIndexEntry(value))
    }
  } finally {
    closeSync(fd)
  }
}

/** A disk that looks, before each write, whether the cell is named. */
function watchedDisk() {
  const disk = openSegmentDisk(join(directory, 'segments'))
  return {
    ...disk,
    open(path) {
      const handle = disk.open(path)
      const segment = Number(basename(path))
      return {
        ...handle,
        write(bytes, position) {
          const first = position / UNIT_BYTES
          const end = first + bytes.length / UNIT_BYTES
          const named = onTheDisk()
            .map(({ byteLength, placed }) => cellOf(placed, byteLength))
            .filter((cell) => cell?.segment === segment && cell.unit < end && cell.unit + cell.units > first)
          say(named.length > 0 ? `named ${segment}` : `written ${segment}`)
          return handle.write(bytes, position)
        },
      }
    },
  }
}

const store = new Store(
  { directory, authority: key, workerId, level: 'stored', retentionRounds: 1 },
  {
    onFatal: (error) => say(`fatal ${error.message}`),
    onNotice: () => {},
    onDeleted: () => {},
    onDamaged: () => {},
    onBytes: () => {},
    onStarved: () => {},
  },
  watchedDisk(),
)
await store.open()

function put(length) {
  sequence += 1
  const bytes = encodeBatch(sequence, length, workerId)
  const slot = new Uint8Array(memory, at, bytes.length)
  slot.set(bytes)
  at += wholePages(bytes.length)
  return store.put(digestOf(bytes, key), key, slot)
}

/** Writes enough for the segment that is being filled to be full. Nobody reads these batches. */
function fill() {
  const units = SEGMENT_UNITS / (BIG_BYTES / UNIT_BYTES)
  const big = new Uint8Array(memory, 0, BIG_BYTES)
  return Promise.all(
    Array.from({ length: units }, () => {
      sequence += 1
      const digest = new Uint8Array(32)
      digest[0] = sequence
      return store.put(digest, key, big)
    }),
  )
}

const file = new StoreFile(directory)
/** Where the last commit says that a batch lies, flushed or not. LMDB settles writes when they are flushed. */
function committed(digest) {
  const value = file.read((snapshot) => snapshot.get('index', Buffer.from(digest, 'hex')))
  return value && decodeIndexEntry(value).placed
}
/** Waits until that is another place than it was, for one of the batches. */
async function changed() {
  while (digests.every((digest, n) => committed(digest) === BigInt(placed[n]))) await sleep(1)
  say('freed')
}

if (how === 'deleted') {
  void store.cleanup(2n)
  await changed()
  await put(100_000)
} else if (how === 'deleted, then killed') {
  void store.cleanup(2n)
  await changed()
  process.kill(process.pid, 'SIGKILL')
} else if (how === 'next run') {
  say('freed')
  await put(100_000)
} else if (how === 'moved') {
  // The mover began when the store was opened.
  await changed()
  await fill()
} else if (how === 'replaced') {
  await store.verified(Buffer.from(damaged.digest, 'hex'))
  const bytes = encodeBatch(damaged.sequence, damaged.bytes, workerId)
  const slot = new Uint8Array(memory, at, bytes.length)
  slot.set(bytes)
  void store.put(Buffer.from(damaged.digest, 'hex'), key, slot)
  await changed()
  await fill()
}
say('done')
process.kill(process.pid, 'SIGKILL')
