/**
 * A store as it was at one commit, read from its file by position (page-tree.ts), whether a node has it open or not.
 *
 * A reader takes no place in LMDB's lock table, so it never keeps pages from being used again, however long it lives and
 * however it dies; and a node that starts meanwhile finds nobody in its way. The price: pages may be used again while
 * they are read. A commit n + 3 is the first that may write over the pages of commit n, so what was read is whole if the
 * newest commit is then n + 1 at most. Otherwise it is read again, from the newest.
 */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../errors.js'
import { LOG_LEAVES_INSPECTED } from './limits.js'
import {
  currentSnapshot,
  durableSnapshot,
  type MetaPage,
  machineBootId,
  readMetaPages,
  type TreeRoot,
} from './meta-page.js'
import {
  damaged,
  findEntry,
  type LeafEntry,
  type PageFile,
  readValue,
  treeRootOf,
  type WalkOptions,
  walkTree,
} from './page-tree.js'
import { DATA_FILE } from './store-error.js'

/** A commit comes every 20 ms on a busy node, and a lookup takes a few: this many are never needed. */
const ATTEMPTS_MAX = 100

export class StoreFile {
  readonly path: string
  private readonly fd: number
  private readonly bootId = machineBootId()

  /** @throws NarvalError ERR_FILE_MISSING if there is no store in the directory */
  constructor(directory: string) {
    this.path = join(directory, DATA_FILE)
    try {
      this.fd = openSync(this.path, 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new NarvalError('ERR_FILE_UNREADABLE', `cannot read ${this.path}: ${(error as Error).message}`)
      }
      throw new NarvalError('ERR_FILE_MISSING', `${directory} holds no store: give the --store of a node`)
    }
  }

  /**
   * Reads of one snapshot. `read` may be called several times, and what it does must not outlive it.
   *
   * @param level `durable` if only what a power cut does not undo is to be read
   * @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_DAMAGED; and what `read` throws
   */
  read<T>(read: (snapshot: StoreSnapshot) => T, level: 'stored' | 'durable' = 'stored'): T {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const meta = level === 'stored' ? this.newest() : this.durable()
      const byteLength = fstatSync(this.fd).size
      let result: T | undefined
      let failure: unknown
      try {
        result = read(new StoreSnapshot(this.fd, this.path, byteLength, meta))
      } catch (error) {
        failure = error
      }
      if (this.newest().txnid > meta.txnid + 1) continue
      if (failure !== undefined) throw failure
      return result as T
    }
    throw new NarvalError('ERR_BUSY', `${this.path} changes faster than it can be read: try again`)
  }

  /** Another number than before: there may be something new to be read at this level. */
  get durableTransaction(): number {
    return this.durable().txnid
  }

  close(): void {
    closeSync(this.fd)
  }

  private durable(): MetaPage {
    const pages = readMetaPages(this.fd, this.path)
    // What is undone by the next start, since the machine was down, does not count.
    const { isRolledBack, meta } = currentSnapshot(pages, this.bootId)
    return isRolledBack ? meta : durableSnapshot(pages)
  }

  private newest(): MetaPage {
    return currentSnapshot(readMetaPages(this.fd, this.path), this.bootId).meta
  }
}

export class StoreSnapshot {
  readonly meta: MetaPage
  private readonly file: PageFile

  constructor(fd: number, path: string, byteLength: number, meta: MetaPage) {
    const { lastPage, pageBytes, txnid } = meta
    this.meta = meta
    this.file = { fd, path, byteLength, pageBytes, lastPage, txnid }
  }

  /** Bytes that the file has if each of its pages was written. */
  get expectedBytes(): number {
    return (this.meta.lastPage + 1) * this.meta.pageBytes
  }

  /** The root of a database; undefined if there is none of that name. */
  database(name: string): TreeRoot | undefined {
    // LMDB's names end with a zero.
    const entry = findEntry(this.file, this.meta.main, Buffer.from(`${name}\0`))
    return entry === undefined ? undefined : treeRootOf(this.file, entry)
  }

  /** The value of a key. */
  get(database: string, key: Uint8Array): Buffer | undefined {
    const root = this.database(database)
    const entry = root && findEntry(this.file, root, key)
    return entry === undefined ? undefined : readValue(this.file, entry)
  }

  /** The value of an entry of `entries`, in memory of its own. */
  valueOf(entry: LeafEntry): Buffer {
    return readValue(this.file, entry)
  }

  has(database: string, key: Uint8Array): boolean {
    const root = this.database(database)
    return root !== undefined && findEntry(this.file, root, key) !== undefined
  }

  /** At most `limit` entries of a database, in the order of their keys; of a large value only where it lies. */
  entries(database: string, limit: number, options: WalkOptions = {}): LeafEntry[] {
    const found: LeafEntry[] = []
    const root = this.database(database)
    if (root === undefined) return found
    const visit = (entry: LeafEntry): boolean => found.push(entry) === limit
    walkTree(this.file, root, visit, options)
    return found
  }

  /**
   * Reads every page of every tree, and throws at the first that is not what it should be. Large values are not read. Of
   * the databases in `logs`, which grow at their end and are deleted from their start, only those pages are read that
   * LMDB is about to touch: they may have a hundred thousand.
   */
  inspect(logs: readonly string[] = []): void {
    walkTree(this.file, this.meta.free, (entry) => {
      // A list of free pages begins with its count. LMDB copies as many entries as the count says, even beyond the
      // value's end.
      const value = readValue(this.file, entry)
      const isList = value.length >= 8 && value.readBigUInt64LE(0) < BigInt(Math.floor(value.length / 8))
      if (!isList) throw damaged(this.file, 'a list of free pages has another length than it says')
      return false
    })
    walkTree(this.file, this.meta.main, (entry) => {
      const isLog = logs.some((name) => entry.key.equals(Buffer.from(`${name}\0`)))
      const options = isLog ? { leavesAtStart: LOG_LEAVES_INSPECTED } : {}
      walkTree(this.file, treeRootOf(this.file, entry), () => false, options)
      return false
    })
  }
}
