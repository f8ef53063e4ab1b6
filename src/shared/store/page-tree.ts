/**
 * Reads LMDB's trees by position, page for page, and believes nothing that it reads: a page that is not what the page
 * above it says is an error, never a crash. LMDB itself trusts its map: what is damaged or cut off ends the process there.
 *
 * ```
 *  page:  number u64 ‖ txnid u64 ‖ pad u16 ‖ flags u16 ‖ lower u16 ‖ upper u16   = 24 bytes, then u16 offsets of nodes
 *  node:  u16 lo ‖ u16 hi ‖ u16 flags ‖ u16 key bytes ‖ key ‖ value
 *         of a branch, lo, hi and flags are the number of a page; of a leaf, lo and hi are the bytes of the value
 *  large: the value is (first page u64 ‖ txnid u64 ‖ pages u64), and lies in those pages behind one page header
 * ```
 */
import { readSync } from 'node:fs'
import { NarvalError } from '../errors.js'
import { decodeTreeRoot, PAGE_HEADER_BYTES, type TreeRoot } from './meta-page.js'

const FLAGS_AT = 18
const LOWER_AT = 20
const UPPER_AT = 22
const NODE_HEADER_BYTES = 8
const LARGE_BYTES = 24
const TREE_ROOT_BYTES = 48
/** Flags of a page: what kind it is. LMDB's other flags mean something only during a transaction. */
const KIND_MASK = 0x7f
const BRANCH = 0x01
const LEAF = 0x02
const OVERFLOW = 0x04
/** Of a node. */
const IS_LARGE = 0x01
const IS_TREE = 0x02
/** LMDB's own limit (mdb.c, CURSOR_STACK). */
const DEPTH_MAX = 32

/** What a snapshot's trees are read from. */
export interface PageFile {
  readonly fd: number
  readonly path: string
  /** Bytes of the file: nothing is read behind it. */
  readonly byteLength: number
  readonly pageBytes: number
  /** No page of the snapshot has a greater number. */
  readonly lastPage: number
  /** No page of the snapshot was written by a later transaction: such a page has been used again. */
  readonly txnid: number
}

export interface LeafEntry {
  readonly key: Buffer
  /** The value, or where it lies. */
  readonly value: Buffer | LargeValue
  /** The value is the root of another tree. */
  readonly isTree: boolean
}

export interface LargeValue {
  readonly page: number
  readonly pages: number
  readonly byteLength: number
}

/** A visitor of a walk; it ends the walk with true. */
export type Visit = (entry: LeafEntry) => boolean

export interface WalkOptions {
  /** Entries behind this key only. */
  readonly after?: Uint8Array | undefined
  /**
   * Takes the error of each part that cannot be read; the walk then goes on behind that part. Without it the walk
   * throws.
   */
  readonly onDamage?: ((error: NarvalError) => void) | undefined
  /**
   * Of a tree that is written at its end and deleted from its start: only so many leaves at the start are read, those under
   * the last branch, and all branches.
   */
  readonly leavesAtStart?: number | undefined
}

/** Calls `visit` for each entry of a tree, in the order of the keys. */
export function walkTree(file: PageFile, root: TreeRoot, visit: Visit, options: WalkOptions = {}): void {
  if (root.page === undefined) return
  // A tree has each page once: more pages than there are is a loop.
  const leavesLeft = options.leavesAtStart ?? Number.POSITIVE_INFINITY
  const walk: Walk = { ...options, file, visit, pagesLeft: file.lastPage + 1, leavesLeft }
  tolerate(walk, () => {
    if (root.depth < 1 || root.depth > DEPTH_MAX) throw damaged(file, `a tree has ${root.depth} levels`)
    return walkPage(walk, root.page!, root.depth, options.after, true)
  })
}

export function findEntry(file: PageFile, root: TreeRoot, key: Uint8Array): LeafEntry | undefined {
  if (root.page === undefined) return undefined
  let page = readTreePage(file, root.page, root.depth)
  for (let level = root.depth; level > 1; level -= 1) {
    page = readTreePage(file, childAt(page, lastNotAbove(page, key, 1)), level - 1)
  }
  const count = nodeCount(page)
  for (let low = 0, high = count - 1; low <= high; ) {
    const middle = (low + high) >>> 1
    const order = Buffer.compare(keyAt(page, middle), key)
    if (order === 0) return entryAt(file, page, middle)
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return undefined
}

/** The value of an entry, in memory of its own. */
export function readValue(file: PageFile, { value }: LeafEntry): Buffer {
  if (Buffer.isBuffer(value)) return Buffer.from(value)
  const first = readPages(file, value.page, 0, PAGE_HEADER_BYTES)
  const isWhole = first.readUInt16LE(FLAGS_AT) & OVERFLOW && first.readBigUInt64LE(0) === BigInt(value.page)
  if (!isWhole || Number(first.readBigUInt64LE(8)) > file.txnid) {
    throw damaged(file, `page ${value.page} does not begin the value that it should`)
  }
  return readPages(file, value.page, PAGE_HEADER_BYTES, value.byteLength)
}

export function treeRootOf(file: PageFile, { isTree, value }: LeafEntry): TreeRoot {
  if (!isTree || !Buffer.isBuffer(value) || value.length !== TREE_ROOT_BYTES) throw damaged(file, 'a root of no tree')
  return decodeTreeRoot(value, 0)
}

export function damaged(file: Pick<PageFile, 'path'>, what: string): NarvalError {
  return new NarvalError('ERR_STORE_DAMAGED', `${file.path} is damaged: ${what}`)
}

interface Walk extends WalkOptions {
  readonly file: PageFile
  readonly visit: Visit
  pagesLeft: number
  leavesLeft: number
}

/** True ends the walk. `isAtEnd`: no page of this level has greater keys. */
function walkPage(walk: Walk, number: number, level: number, after: Uint8Array | undefined, isAtEnd: boolean): boolean {
  const { file, visit } = walk
  walk.pagesLeft -= 1
  if (walk.pagesLeft < 0) throw damaged(file, 'the pages of a tree lead back to themselves')
  const page = readTreePage(file, number, level)
  const count = nodeCount(page)
  if (level === 1) {
    for (let n = 0; n < count; n += 1) {
      if (after !== undefined && Buffer.compare(keyAt(page, n), after) <= 0) continue
      if (tolerate(walk, () => visit(entryAt(file, page, n)))) return true
    }
    return false
  }
  const first = after === undefined ? 0 : lastNotAbove(page, after, 1)
  for (let n = first; n < count; n += 1) {
    const behind = n === first ? after : undefined
    if (level === 2 && !isAtEnd && walk.leavesLeft <= 0) return false
    if (level === 2) walk.leavesLeft -= 1
    const isLast = isAtEnd && n === count - 1
    if (tolerate(walk, () => walkPage(walk, childAt(page, n), level - 1, behind, isLast))) return true
  }
  return false
}

function tolerate(walk: Walk, step: () => boolean): boolean {
  try {
    return step()
  } catch (error) {
    if (walk.onDamage === undefined || !(error instanceof NarvalError) || error.code !== 'ERR_STORE_DAMAGED')
      throw error
    walk.onDamage(error)
    return false
  }
}

/** The last node whose key is not above this one; of a branch, the key of the first node means nothing. */
function lastNotAbove(page: Buffer, key: Uint8Array, from: number): number {
  let low = from
  let high = nodeCount(page) - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    if (Buffer.compare(keyAt(page, middle), key) <= 0) low = middle + 1
    else high = middle - 1
  }
  return low - 1
}

/** Reads a page of a tree, and checks all that later readers of it rely on. */
function readTreePage(file: PageFile, number: number, level: number): Buffer {
  const page = readPages(file, number, 0, file.pageBytes)
  const kind = page.readUInt16LE(FLAGS_AT) & KIND_MASK
  if (page.readBigUInt64LE(0) !== BigInt(number)) throw damaged(file, `page ${number} says that it is another`)
  if (Number(page.readBigUInt64LE(8)) > file.txnid) throw damaged(file, `page ${number} is of a later transaction`)
  if (kind !== (level > 1 ? BRANCH : LEAF)) throw damaged(file, `page ${number} has the kind ${kind} at level ${level}`)
  const lower = page.readUInt16LE(LOWER_AT)
  const upper = page.readUInt16LE(UPPER_AT)
  const room = file.pageBytes - PAGE_HEADER_BYTES
  if (lower % 2 !== 0 || lower > upper || upper > room) throw damaged(file, `page ${number} has no room as it says`)
  if (lower === 0) throw damaged(file, `page ${number} is empty`)
  for (let n = 0; n < nodeCount(page); n += 1) {
    const at = nodeAt(page, n)
    const isWithin = at >= PAGE_HEADER_BYTES + upper && at + NODE_HEADER_BYTES <= file.pageBytes
    if (!isWithin || at + NODE_HEADER_BYTES + page.readUInt16LE(at + 6) > file.pageBytes) {
      throw damaged(file, `page ${number} has a node that is not within it`)
    }
  }
  return page
}

function nodeCount(page: Buffer): number {
  return page.readUInt16LE(LOWER_AT) >>> 1
}

function nodeAt(page: Buffer, n: number): number {
  return PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * n)
}

function keyAt(page: Buffer, n: number): Buffer {
  const at = nodeAt(page, n)
  return page.subarray(at + NODE_HEADER_BYTES, at + NODE_HEADER_BYTES + page.readUInt16LE(at + 6))
}

function childAt(page: Buffer, n: number): number {
  return page.readUIntLE(nodeAt(page, n), 6)
}

function entryAt(file: PageFile, page: Buffer, n: number): LeafEntry {
  const at = nodeAt(page, n)
  const flags = page.readUInt16LE(at + 4)
  const byteLength = page.readUInt32LE(at)
  const key = keyAt(page, n)
  const valueAt = at + NODE_HEADER_BYTES + key.length
  const isLarge = (flags & IS_LARGE) !== 0
  const inPage = isLarge ? LARGE_BYTES : byteLength
  if (valueAt + inPage > file.pageBytes) throw damaged(file, 'a value is not within its page')
  if (!isLarge) return { key, value: page.subarray(valueAt, valueAt + inPage), isTree: (flags & IS_TREE) !== 0 }
  const large = {
    page: Number(page.readBigUInt64LE(valueAt)),
    pages: Number(page.readBigUInt64LE(valueAt + 16)),
    byteLength,
  }
  const end = large.page + large.pages
  if (large.pages * file.pageBytes < PAGE_HEADER_BYTES + byteLength || end > file.lastPage + 1) {
    throw damaged(file, `a value of ${byteLength} bytes has ${large.pages} pages from ${large.page} on`)
  }
  if (large.page * file.pageBytes + PAGE_HEADER_BYTES + byteLength > file.byteLength) {
    throw damaged(file, `a value lies at page ${large.page}, behind the end of the file`)
  }
  return { key, value: large, isTree: false }
}

/** A disk that cannot read a sector says so here; by a map it would end the process. */
function readSome(file: PageFile, number: number, bytes: Buffer, at: number, position: number): number {
  let count: number
  try {
    count = readSync(file.fd, bytes, at, bytes.length - at, position)
  } catch (error) {
    throw damaged(file, `page ${number} cannot be read: ${(error as Error).message}`)
  }
  if (count === 0) throw damaged(file, `page ${number} lies behind the end of the file`)
  return count
}

/** Reads from within a page on; LMDB's large values go over several. */
function readPages(file: PageFile, number: number, within: number, byteLength: number): Buffer {
  const position = number * file.pageBytes + within
  if (number > file.lastPage) throw damaged(file, `page ${number} is behind the last page ${file.lastPage}`)
  if (position + byteLength > file.byteLength) throw damaged(file, `page ${number} lies behind the end of the file`)
  const bytes = Buffer.allocUnsafeSlow(byteLength)
  for (let at = 0; at < byteLength; ) {
    at += readSome(file, number, bytes, at, position + at)
  }
  return bytes
}
