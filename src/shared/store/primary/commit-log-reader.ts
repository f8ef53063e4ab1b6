/**
 * Reads the commit log beside a running node, from another thread or another process, or when nobody runs it.
 *
 * It reads the store's file by position (store-snapshot.ts): it holds no pages, however slow it is and however it ends.
 * It sees only commits that are on the disk, so what it has shown is never undone. Each record is checked by the digest
 * that its successor has of it, or the store of the last one, before any of it is handed out.
 */
import { CommitsPrunedError, NarvalError } from '../../errors.js'
import { commitDigest } from '../../wire/primary/commit-digest.js'
import {
  type CommitHead,
  type CommittedBatch,
  type CommittedCertificate,
  decodeCommitHead,
  readCommittedBatch,
  readCommittedCertificate,
} from '../../wire/primary/commit-record.js'
import { COMMIT_ENTRY_BYTES, COMMIT_HEAD_BYTES } from '../../wire/primary/limits.js'
import { compareBytes } from '../../wire/primary/record.js'
import { META_FORMAT } from '../format.js'
import { StoreFile, type StoreSnapshot } from '../store-snapshot.js'
import { EMPTY_LOG, type LogHead, partBytes, partsOf } from './commit-parts.js'
import {
  checkPrimaryFormat,
  damaged,
  decodeHead,
  decodeNumbers,
  META_SETTINGS,
  PrimaryKeys,
  readKey,
} from './format.js'
import { COMMIT_PART_ENTRIES, LOG_READ_PARTS } from './limits.js'
import { decodeSettings, type PrimarySettings } from './settings.js'

/** A batch of a commit. */
export interface LoggedBatch extends CommittedBatch {
  /** In its commit, from 0. */
  readonly position: number
}

export interface LogBounds {
  /** The oldest commit that is there; one more than the last if there is none. */
  readonly oldest: number
  /** The last commit; 0 before the first. */
  readonly last: number
}

/** Behind the parts of every record. */
const PARTS_END = 0xffff_ffff

export class CommitLogReader {
  readonly settings: PrimarySettings
  private readonly file: StoreFile
  private readonly keys: PrimaryKeys
  private readonly committeeDigest: Buffer

  /** @throws NarvalError ERR_FILE_MISSING if there is no store in the directory, ERR_STORE_FORMAT */
  constructor(directory: string) {
    this.file = new StoreFile(directory)
    try {
      const { format, settings } = this.file.read((snapshot) => ({
        format: snapshot.get('meta', META_FORMAT),
        settings: snapshot.get('meta', META_SETTINGS),
      }))
      if (format?.length !== 8) throw damaged(`it has no format, in ${directory}`)
      checkPrimaryFormat(format, directory)
      this.settings = decodeSettings(settings)
    } catch (error) {
      this.file.close()
      throw error
    }
    this.keys = new PrimaryKeys(this.settings.epoch)
    this.committeeDigest = Buffer.from(this.settings.committeeDigest, 'hex')
  }

  /** Another number than before: there may be new commits. */
  get transaction(): number {
    return this.file.durableTransaction
  }

  bounds(): LogBounds {
    return this.read((snapshot) => {
      const { head, oldest } = this.ends(snapshot)
      return { oldest, last: head.index }
    })
  }

  /**
   * The commits with a higher index, in order, up to the present end of the log. A commit may be used until the next one is
   * asked for, or `close`.
   *
   * @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED
   */
  *commits(after: number): Generator<LoggedCommit, void, undefined> {
    for (let last = after; ; ) {
      const { digest, records } = this.chunk(last)
      if (records.length === 0) return
      for (const [at, parts] of records.entries()) {
        const commit = new LoggedCommit(this, this.committeeDigest, last + 1, parts)
        const next = records[at + 1]?.[0]
        const expected = next === undefined ? digest : headOf(next, last + 2).previous
        commit.check(expected ?? this.digestOf(commit.index))
        yield commit
        last = commit.index
      }
    }
  }

  /** A part of a record. @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED */
  part(index: number, part: number): Buffer {
    const key = this.keys.commit(index, part)
    return this.read((snapshot) => {
      const bytes = snapshot.get('commits', key)
      if (bytes === undefined) throw this.missing(snapshot, index)
      return bytes
    })
  }

  /** What the digest of a commit's record has to be. */
  private digestOf(index: number): Uint8Array {
    return this.read((snapshot) => {
      const { head } = this.ends(snapshot)
      if (head.index === index) return head.digest
      const next = snapshot.get('commits', this.keys.commit(index + 1))
      if (next === undefined) throw this.missing(snapshot, index + 1)
      return headOf(next, index + 1).previous
    })
  }

  close(): void {
    this.file.close()
  }

  private read<T>(read: (snapshot: StoreSnapshot) => T): T {
    return this.file.read(read, 'durable')
  }

  private ends(snapshot: StoreSnapshot): { head: LogHead; oldest: number } {
    const head = snapshot.get('state', this.keys.state('head'))
    const log = snapshot.get('state', this.keys.state('log'))
    if (head === undefined || log === undefined) return { head: EMPTY_LOG, oldest: 1 }
    return { head: decodeHead(head), oldest: decodeNumbers('the start of the log', log, 2)[0]! }
  }

  /**
   * The records behind a commit, as they are in one snapshot, as far as they fit: of the last one parts may be missing.
   * None at the end of the log. `digest` is that of the last one, if it is at the end of the log.
   */
  private chunk(after: number): { records: Buffer[][]; digest: Uint8Array | undefined } {
    return this.read((snapshot) => {
      const { head, oldest } = this.ends(snapshot)
      if (after >= head.index) return { records: [], digest: undefined }
      if (after + 1 < oldest) throw new CommitsPrunedError(after, oldest)
      const behind = { after: this.keys.commit(after, PARTS_END) }
      const records: Buffer[][] = []
      for (const entry of snapshot.entries('commits', LOG_READ_PARTS, behind)) {
        const { index, part } = readKey.commit(entry.key)
        if (part === 0 && index === after + records.length + 1) records.push([])
        // What lies behind a gap is not reached from here.
        if (index !== after + records.length || part !== records.at(-1)!.length) break
        records.at(-1)!.push(snapshot.valueOf(entry))
      }
      if (records.length === 0) throw damaged(`commit ${after + 1} is not there`)
      return { records, digest: after + records.length === head.index ? head.digest : undefined }
    })
  }

  /** A record that is not there was deleted, unless it is damage. */
  private missing(snapshot: StoreSnapshot, index: number): NarvalError {
    const { oldest } = this.ends(snapshot)
    return index < oldest ? new CommitsPrunedError(index - 1, oldest) : damaged(`commit ${index} is not whole`)
  }
}

/** A commit of the log. Its record is read part by part. */
export class LoggedCommit {
  readonly index: number
  readonly epoch: number
  /** Unix ms. */
  readonly timestamp: number
  /** Batches in all commits before this one. */
  readonly firstBatch: number
  /** How many certificates it has; the last is its anchor. */
  readonly certificateCount: number
  readonly batchCount: number
  /** The digest of the record before. */
  readonly previous: Uint8Array
  private readonly reader: CommitLogReader
  private readonly committeeDigest: Uint8Array
  private readonly parts: readonly Buffer[]

  constructor(reader: CommitLogReader, committeeDigest: Uint8Array, index: number, parts: readonly Buffer[]) {
    this.reader = reader
    this.committeeDigest = committeeDigest
    this.parts = parts
    const head = headOf(parts[0]!, index)
    this.index = index
    this.epoch = head.epoch
    this.timestamp = head.timestamp
    this.firstBatch = head.firstBatch
    this.certificateCount = head.certificates
    this.batchCount = head.batches
    this.previous = head.previous
  }

  /** Names the record: equal on all authorities. Reads all of it. @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED */
  digest(): Uint8Array {
    return commitDigest(this.committeeDigest, this.pieces())
  }

  /** @throws NarvalError ERR_STORE_DAMAGED if the record is not the one with this digest; CommitsPrunedError */
  check(expected: Uint8Array): void {
    if (compareBytes(this.digest(), expected) !== 0) throw damaged(`the record of commit ${this.index} is another`)
  }

  /** Bytes of the record. */
  get byteLength(): number {
    return COMMIT_HEAD_BYTES + (this.certificateCount + this.batchCount) * COMMIT_ENTRY_BYTES
  }

  get anchor(): CommittedCertificate {
    return this.certificateAt(this.certificateCount - 1)
  }

  *certificates(): Generator<CommittedCertificate, void, undefined> {
    for (let n = 0; n < this.certificateCount; n += 1) yield this.certificateAt(n)
  }

  /** Batches from a position on, in order. @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED */
  *batches(from = 0): Generator<LoggedBatch, void, undefined> {
    const { authorities } = this.reader.settings
    const end = this.certificateCount + this.batchCount
    let part: Buffer | undefined
    let number = -1
    for (let entry = this.certificateCount + from; entry < end; entry += 1) {
      if (Math.floor(entry / COMMIT_PART_ENTRIES) !== number) {
        number = Math.floor(entry / COMMIT_PART_ENTRIES)
        part = this.part(number)
      }
      const batch = wellFormed(this.index, () => readCommittedBatch(part!, entryAt(entry), authorities))
      yield { ...batch, position: entry - this.certificateCount }
    }
  }

  private certificateAt(n: number): CommittedCertificate {
    const bytes = this.part(Math.floor(n / COMMIT_PART_ENTRIES))
    return wellFormed(this.index, () => readCommittedCertificate(bytes, entryAt(n), this.reader.settings.authorities))
  }

  /** The bytes of its record, in order. @throws CommitsPrunedError, NarvalError ERR_STORE_DAMAGED */
  *pieces(): Generator<Uint8Array, void, undefined> {
    const entries = this.certificateCount + this.batchCount
    for (let number = 0; number < partsOf(entries); number += 1) {
      const bytes = this.part(number)
      if (bytes.length !== partBytes(entries, number))
        throw damaged(`commit ${this.index} has a part that is not whole`)
      yield bytes
    }
  }

  private part(number: number): Buffer {
    return this.parts[number] ?? this.reader.part(this.index, number)
  }
}

/** Where a certificate or a batch lies in its part. */
function entryAt(entry: number): number {
  const head = entry < COMMIT_PART_ENTRIES ? COMMIT_HEAD_BYTES : 0
  return head + (entry % COMMIT_PART_ENTRIES) * COMMIT_ENTRY_BYTES
}

function headOf(bytes: Buffer, index: number): CommitHead {
  const head = wellFormed(index, () => decodeCommitHead(bytes))
  if (head.index !== index) throw damaged(`the record of commit ${index} says that it is ${head.index}`)
  return head
}

/** What the store wrote and cannot read is damage. */
function wellFormed<T>(index: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_CODEC') throw error
    throw damaged(`commit ${index}: ${error.message}`)
  }
}
