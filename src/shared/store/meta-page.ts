/**
 * The meta pages of the store's file: where a snapshot of LMDB begins. They are read by position, without a map of the
 * file and without LMDB's lock table, so that nothing that is wrong with the file can end the process, and nothing that
 * a reader does can reach a running node.
 *
 * lmdb-js keeps three of them (its mdb.c, `MDB_meta`), little-endian, each behind a page header of 24 bytes:
 *
 * ```
 *  page 0, page 1              the commits, in turns; a commit that is not flushed yet is marked so
 *  the middle of page 0        the newest commit that is flushed
 *
 *  24      28        32       40         48          96          144         152     160      168
 *  ├ magic ┼ version ┼ unused ┼ map size ┼ free tree ┼ main tree ┼ last page ┼ txnid ┼ boot id ┤
 *    of the first two only                 48 bytes each (TREE_BYTES)
 * ```
 *
 * The boot id is the machine's when the commit was made. Where it is another one now, the machine was down since: what
 * was not flushed may be lost, or half of it may be, and the snapshot to go by is the newest that was flushed.
 */
import { readFileSync, readSync, writeSync } from 'node:fs'
import { NarvalError } from '../errors.js'

export const PAGE_HEADER_BYTES = 24
/** The least file that has all three meta pages, with LMDB's least page. */
const META_BYTES = 168
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const VERSION_MASK = 0xffff
const PAGE_BYTES_MIN = 256
const PAGE_BYTES_MAX = 0x10000
/** In a tree's flags: the commit was not flushed when this was written (lmdb.h, MDB_OVERLAPPINGSYNC). */
const NOT_FLUSHED = 0x1000
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** A meta page may be written while it is read: two readings in a row have to be equal. */
const READINGS_MAX = 100

// Where fields stand, from the start of the page.
const MAGIC_AT = 24
const VERSION_AT = 28
const MAP_BYTES_AT = 40
const FREE_TREE_AT = 48
const MAIN_TREE_AT = 96
const LAST_PAGE_AT = 144
const TXNID_AT = 152
const BOOT_ID_AT = 160

/** Where a tree begins (mdb.c, `MDB_db`). */
export interface TreeRoot {
  /** Number of its root page; undefined if the tree is empty. */
  readonly page: number | undefined
  /** Levels from the root to the leaves, both included. */
  readonly depth: number
  readonly entries: number
}

export interface MetaPage {
  readonly pageBytes: number
  readonly free: TreeRoot
  readonly main: TreeRoot
  readonly lastPage: number
  readonly txnid: number
  /** It was flushed when it was written. */
  readonly isFlushed: boolean
  readonly bootId: bigint
  /** Its bytes, from MAP_BYTES_AT. */
  readonly content: Buffer
}

export interface MetaPages {
  /** Those of pages 0 and 1. */
  readonly commits: readonly [MetaPage, MetaPage]
  /** Undefined if nothing was flushed by a thread of its own yet. */
  readonly flushed: MetaPage | undefined
}

/** What a process that opens the file now goes by. */
export interface Snapshot {
  readonly meta: MetaPage
  /** Newer commits exist that a machine which went down had not flushed: they are to be undone before a write. */
  readonly isRolledBack: boolean
}

/** @throws NarvalError ERR_STORE_FORMAT if the file does not begin as LMDB's do */
export function readMetaPages(fd: number, path: string): MetaPages {
  let last = readAll(fd, path)
  for (let reading = 0; reading < READINGS_MAX; reading += 1) {
    const now = readAll(fd, path)
    if (now.equals(last)) return decodeAll(now, path)
    last = now
  }
  throw new NarvalError('ERR_STORE_DAMAGED', `${path}: its meta pages change faster than they can be read`)
}

/**
 * True of a file that LMDB was making when its process was killed: it writes the first two meta pages at once, and only the
 * first is there. Nothing was committed, so it holds nothing. A file that was cut off has a later commit in its first page.
 */
export function isUnfinished(fd: number, byteLength: number): boolean {
  const first = readAt(fd, 0)
  return (
    first.readUInt32LE(MAGIC_AT) === MAGIC &&
    byteLength <= first.readUInt32LE(FREE_TREE_AT) &&
    first.readBigUInt64LE(TXNID_AT) === 0n &&
    decodeTreeRoot(first, MAIN_TREE_AT).page === undefined
  )
}

/**
 * The snapshot that holds: the newest commit, unless the machine went down since.
 *
 * @param bootId the machine's now; undefined where nobody knows, and every boot counts as the same then
 */
export function currentSnapshot({ commits, flushed }: MetaPages, bootId: bigint | undefined): Snapshot {
  const newest = commits[0].txnid >= commits[1].txnid ? commits[0] : commits[1]
  const holds = (meta: MetaPage): boolean => meta.isFlushed || bootId === undefined || meta.bootId === bootId
  if (holds(newest)) return { meta: newest, isRolledBack: false }
  const kept = [...commits, flushed].filter((meta) => meta !== undefined).filter(holds)
  const meta = kept.reduce<MetaPage | undefined>(
    (best, one) => (best && best.txnid >= one.txnid ? best : one),
    undefined,
  )
  return meta === undefined ? { meta: newest, isRolledBack: false } : { meta, isRolledBack: true }
}

/**
 * The newest commit that is on the disk, which a power cut does not undo; the newest of all where none is known to be. A
 * writer that flushes each commit before the next is at most one commit ahead of it.
 */
export function durableSnapshot({ commits, flushed }: MetaPages): MetaPage {
  const durable = [...commits.filter(({ isFlushed }) => isFlushed), ...(flushed === undefined ? [] : [flushed])]
  const candidates = durable.length > 0 ? durable : commits
  return candidates.reduce((best, one) => (best.txnid >= one.txnid ? best : one))
}

/**
 * Makes a snapshot the newest commit, on the disk: the meta pages of both commits are written over with it. LMDB does
 * the same when it opens a file that nobody else has open, but not while a reader has it open.
 */
export function writeSnapshot(fd: number, meta: MetaPage, flush: (fd: number) => void): void {
  const place = (txnid: number): number => (txnid % 2) * meta.pageBytes + MAP_BYTES_AT
  writeSync(fd, meta.content, 0, meta.content.length, place(meta.txnid))
  flush(fd)
  // The other page has an older number, and the same trees: there is no commit left that was not flushed.
  const other = Buffer.from(meta.content)
  other.writeBigUInt64LE(BigInt(meta.txnid - 1), TXNID_AT - MAP_BYTES_AT)
  writeSync(fd, other, 0, other.length, place(meta.txnid - 1))
  flush(fd)
}

/** The machine's boot as LMDB writes it down; undefined where we cannot tell. */
export function machineBootId(): bigint | undefined {
  try {
    const first = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').split('-')[0]!
    return /^[\da-f]{1,15}$/.test(first) ? BigInt(`0x${first}`) : undefined
  } catch {
    return undefined
  }
}

export function decodeTreeRoot(bytes: Buffer, at: number): TreeRoot {
  const root = bytes.readBigUInt64LE(at + 40)
  return {
    page: root === NO_PAGE ? undefined : Number(root),
    depth: bytes.readUInt16LE(at + 6),
    entries: Number(bytes.readBigUInt64LE(at + 32)),
  }
}

/** The three meta pages' bytes, one behind the other. */
function readAll(fd: number, path: string): Buffer {
  const first = readAt(fd, 0)
  if (first.readUInt32LE(MAGIC_AT) !== MAGIC) throw notAStore(path)
  const pageBytes = first.readUInt32LE(FREE_TREE_AT)
  const isPower = (pageBytes & (pageBytes - 1)) === 0
  if (!isPower || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) throw notAStore(path)
  return Buffer.concat([first, readAt(fd, pageBytes), readAt(fd, pageBytes / 2)])
}

/** What lies behind the end of the file reads as zeros. */
function readAt(fd: number, position: number): Buffer {
  const bytes = Buffer.alloc(META_BYTES)
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(fd, bytes, at, bytes.length - at, position + at)
    if (count === 0) break
    at += count
  }
  return bytes
}

function decodeAll(bytes: Buffer, path: string): MetaPages {
  const [first, second, middle] = [0, 1, 2].map((n) => bytes.subarray(n * META_BYTES, (n + 1) * META_BYTES)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const version = first.readUInt32LE(VERSION_AT) & VERSION_MASK
  if (version !== DATA_VERSION) {
    throw new NarvalError('ERR_STORE_FORMAT', `${path} has LMDB's data version ${version}, expected ${DATA_VERSION}`)
  }
  if (second.readUInt32LE(MAGIC_AT) !== MAGIC) {
    throw new NarvalError(
      'ERR_STORE_DAMAGED',
      `${path} is damaged: its second meta page is not there; ${WHAT_TO_DO_WITH_DAMAGE}`,
    )
  }
  const pageBytes = first.readUInt32LE(FREE_TREE_AT)
  return {
    commits: [decode(first, pageBytes), decode(second, pageBytes)],
    flushed: middle.readBigUInt64LE(TXNID_AT) === 0n ? undefined : decode(middle, pageBytes),
  }
}

function decode(bytes: Buffer, pageBytes: number): MetaPage {
  return {
    pageBytes,
    free: decodeTreeRoot(bytes, FREE_TREE_AT),
    main: decodeTreeRoot(bytes, MAIN_TREE_AT),
    lastPage: Number(bytes.readBigUInt64LE(LAST_PAGE_AT)),
    txnid: Number(bytes.readBigUInt64LE(TXNID_AT)),
    isFlushed: (bytes.readUInt16LE(FREE_TREE_AT + 4) & NOT_FLUSHED) === 0,
    bootId: bytes.readBigInt64LE(BOOT_ID_AT),
    content: Buffer.from(bytes.subarray(MAP_BYTES_AT)),
  }
}

/** How an error about a damaged file ends. */
export const WHAT_TO_DO_WITH_DAMAGE =
  '`narval check` says what can still be read; start with a new --store, or put a copy of this one back'

function notAStore(path: string): NarvalError {
  return new NarvalError('ERR_STORE_FORMAT', `${path} is no store of narval: give this node a --store of its own`)
}
