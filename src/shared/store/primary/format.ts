/**
 * How a primary's store lies in LMDB. One environment, all keys and values binary, integers big-endian. Every key but
 * those of `meta` begins with the epoch, u64, which is left out here:
 *
 * ```
 *  meta          name                             →  format u64, store id 16, settings as JSON
 *  state         name                             →  own-header: round u64 ‖ the record of our last header
 *                                                    signing: 0, or 1 ‖ round u64 above which we may sign
 *                                                    gc-round: u64
 *                                                    payload-round: u64, absent until it is known
 *                                                    position: JSON, where consensus stands after the last commit
 *                                                    head: index u64 ‖ digest 32 ‖ next batch u64
 *                                                    log: oldest index u64 ‖ bytes u64 of the records and checkpoints
 *                                                    checkpoint: our last signature of one, as a record
 *                                                    attested: index u64 of the latest of `checkpoints`
 *                                                    kept: highest deleted round u64 ‖ bytes u64 of the certificates
 *                                                    worker-store ‖ worker u32: the id of that worker's store, 16
 *  votes         author u16                       →  the record of our last vote for a header of this author
 *  certificates  round u64 ‖ author u16           →  digest 32 ‖ the record
 *  digests       digest 32                        →  round u64 ‖ author u16
 *  own           batch 46                         →  nothing: a batch of ours that no commit has yet
 *  payload       batch 46                         →  nothing: a batch of others that our own workers have
 *  evidence      accused u16 ‖ kind u16 ‖ round u64  →  a record (shared/wire/primary/evidence.ts)
 *  commits       index u64 ‖ part u32             →  a part of the record (shared/wire/primary/commit-record.ts)
 *  range         index u64                        →  the nodes that this record completes, 32 bytes each
 *                                                    (shared/wire/primary/mountain-range.ts)
 *  checkpoints   index u64                        →  the record of a checkpoint that a quorum has signed
 *  runs          author u16 ‖ worker u32 ‖ first u64  →  last u64: a run of committed sequences
 *
 *  batch         sequence u64 ‖ worker u32 ‖ author u16 ‖ digest 32
 * ```
 *
 * A record is cut into parts: `commit-parts.ts`.
 */
import type { RootDatabase } from 'lmdb'
import { DIGEST_BYTES } from '../../constants.js'
import { NarvalError } from '../../errors.js'
import { EVIDENCE_KINDS, type Evidence, evidenceKindOf } from '../../wire/primary/evidence.js'
import type { BatchEntry } from '../../wire/primary/header.js'
import type { NodePlace } from '../../wire/primary/mountain-range.js'
import { type BinaryDatabase, openBinary, openEnvironment } from '../environment.js'
import { formatOf, PRIMARY_FORMATS_FROM } from '../format.js'
import type { LogHead } from './commit-parts.js'

/** The version of what is drawn above. */
export const PRIMARY_STORE_FORMAT = PRIMARY_FORMATS_FROM + 3
/** A start takes a store of this format over (threads/primary/store/migration.ts). */
export const PRIMARY_STORE_FORMAT_FORMER = PRIMARY_FORMATS_FROM + 2

export const META_SETTINGS = Buffer.from('settings')

const DATABASES = [
  'meta',
  'state',
  'votes',
  'certificates',
  'digests',
  'own',
  'payload',
  'evidence',
  'commits',
  'range',
  'checkpoints',
  'runs',
] as const
export type PrimaryDatabaseName = (typeof DATABASES)[number]
export type PrimaryDatabases = Readonly<Record<PrimaryDatabaseName, BinaryDatabase>> & { readonly root: RootDatabase }

export type StateName =
  | 'own-header'
  | 'signing'
  | 'gc-round'
  | 'payload-round'
  | 'position'
  | 'head'
  | 'log'
  | 'fetched'
  | 'checkpoint'
  | 'attested'
  | 'kept'

const WORKER_STORE = Buffer.from('worker-store')
const EPOCH_BYTES = 8
const BATCH_KEY_BYTES = 8 + 4 + 2 + DIGEST_BYTES

/** Behind `prepareFile`: LMDB believes what is in the file. @throws what LMDB throws */
export function openPrimaryDatabases(directory: string): PrimaryDatabases {
  const root = openEnvironment(directory, DATABASES.length)
  const databases = Object.fromEntries(DATABASES.map((name) => [name, openBinary(root, name)]))
  return { root, ...databases } as unknown as PrimaryDatabases
}

/**
 * For what reads a primary's store.
 *
 * @param canMigrate whoever asks takes a store of the former format over, or reads nothing that has changed
 * @throws NarvalError ERR_STORE_FORMAT
 */
export function checkPrimaryFormat(found: Uint8Array, where: string, canMigrate = false): void {
  const version = formatOf(found)
  const isFormer = version === BigInt(PRIMARY_STORE_FORMAT_FORMER)
  if (version === BigInt(PRIMARY_STORE_FORMAT) || (isFormer && canMigrate)) return
  if (version < BigInt(PRIMARY_FORMATS_FROM)) {
    throw new NarvalError('ERR_STORE_FORMAT', `${where} is the store of a worker: give the --store of a primary`)
  }
  const remedy = isFormer
    ? 'start its node once (`run … authority`, or `run … primary`), which takes it over'
    : 'run the version that wrote it; a new store needs --recovered'
  throw new NarvalError(
    'ERR_STORE_FORMAT',
    `the primary's store ${where} has format ${version}, this version of narval reads ${PRIMARY_STORE_FORMAT}: ${remedy}`,
  )
}

/** The format of whichever store's `meta` this is, if there is one that can be read. */
export function isPrimaryFormat(found: Uint8Array | undefined): boolean {
  return found?.length === 8 && formatOf(found) > BigInt(PRIMARY_FORMATS_FROM)
}

/** Names evidence in the store: of one kind against one authority and of one round, one is kept. */
export type EvidenceKey = Pick<Evidence, 'kind' | 'accused' | 'round'>

/** Keys of one epoch. */
export class PrimaryKeys {
  private readonly prefix: Buffer
  /** In front of every key of this epoch. */
  readonly least: Buffer
  /** Behind every key of this epoch. */
  readonly end: Buffer

  constructor(readonly epoch: number) {
    this.prefix = Buffer.alloc(EPOCH_BYTES)
    this.prefix.writeBigUInt64BE(BigInt(epoch))
    this.least = this.prefix
    this.end = Buffer.alloc(EPOCH_BYTES)
    this.end.writeBigUInt64BE(BigInt(epoch) + 1n)
  }

  state(name: StateName): Buffer {
    return Buffer.concat([this.prefix, Buffer.from(name)])
  }

  /** Of `state`. */
  workerStore(worker: number): Buffer {
    const id = Buffer.allocUnsafe(4)
    id.writeUInt32BE(worker)
    return Buffer.concat([this.prefix, WORKER_STORE, id])
  }

  vote(author: number): Buffer {
    const key = this.begin(2)
    key.writeUInt16BE(author, EPOCH_BYTES)
    return key
  }

  certificate(round: number, author: number): Buffer {
    const key = this.begin(10)
    key.writeBigUInt64BE(BigInt(round), EPOCH_BYTES)
    key.writeUInt16BE(author, EPOCH_BYTES + 8)
    return key
  }

  digest(digest: Uint8Array): Buffer {
    return Buffer.concat([this.prefix, digest])
  }

  batch({ author, digest, sequence, worker }: BatchEntry): Buffer {
    const key = this.begin(BATCH_KEY_BYTES)
    key.writeBigUInt64BE(sequence, EPOCH_BYTES)
    key.writeUInt32BE(worker, EPOCH_BYTES + 8)
    key.writeUInt16BE(author, EPOCH_BYTES + 12)
    key.set(digest, EPOCH_BYTES + 14)
    return key
  }

  evidence({ accused, kind, round }: EvidenceKey): Buffer {
    const key = this.begin(12)
    key.writeUInt16BE(accused, EPOCH_BYTES)
    key.writeUInt16BE(EVIDENCE_KINDS[kind], EPOCH_BYTES + 2)
    key.writeBigUInt64BE(BigInt(round), EPOCH_BYTES + 4)
    return key
  }

  /** Of `commits`. */
  commit(index: number, part = 0): Buffer {
    const key = this.begin(12)
    key.writeBigUInt64BE(BigInt(index), EPOCH_BYTES)
    key.writeUInt32BE(part, EPOCH_BYTES + 8)
    return key
  }

  /** Of `range`. */
  range(index: number): Buffer {
    return this.index(index)
  }

  checkpoint(index: number): Buffer {
    return this.index(index)
  }

  run(author: number, worker: number, first: bigint): Buffer {
    const key = this.begin(14)
    key.writeUInt16BE(author, EPOCH_BYTES)
    key.writeUInt32BE(worker, EPOCH_BYTES + 2)
    key.writeBigUInt64BE(first, EPOCH_BYTES + 6)
    return key
  }

  private index(index: number): Buffer {
    const key = this.begin(8)
    key.writeBigUInt64BE(BigInt(index), EPOCH_BYTES)
    return key
  }

  private begin(bytes: number): Buffer {
    const key = Buffer.allocUnsafe(EPOCH_BYTES + bytes)
    key.set(this.prefix)
    return key
  }
}

/** What keys say, behind the epoch. A key of another length is damage. */
export const readKey = {
  workerStore: (key: Uint8Array) => {
    const at = WORKER_STORE.length
    return { worker: keyView('state', key, at + 4).getUint32(EPOCH_BYTES + at) }
  },
  vote: (key: Uint8Array) => ({ author: keyView('votes', key, 2).getUint16(EPOCH_BYTES) }),
  certificate: (key: Uint8Array) => roundAndAuthor(keyView('certificates', key, 10), EPOCH_BYTES),
  digest: (key: Uint8Array) => {
    keyView('digests', key, DIGEST_BYTES)
    return { digest: new Uint8Array(key.subarray(EPOCH_BYTES)) }
  },
  batch: (key: Uint8Array): BatchEntry => {
    const data = keyView('batches', key, BATCH_KEY_BYTES)
    return {
      sequence: data.getBigUint64(EPOCH_BYTES),
      worker: data.getUint32(EPOCH_BYTES + 8),
      author: data.getUint16(EPOCH_BYTES + 12),
      digest: new Uint8Array(key.subarray(EPOCH_BYTES + 14)),
    }
  },
  evidence: (key: Uint8Array): EvidenceKey => {
    const data = keyView('evidence', key, 12)
    const number = data.getUint16(EPOCH_BYTES + 2)
    const kind = evidenceKindOf(number)
    if (kind === undefined) throw damaged(`evidence of kind ${number}`)
    return { kind, accused: data.getUint16(EPOCH_BYTES), round: Number(data.getBigUint64(EPOCH_BYTES + 4)) }
  },
  commit: (key: Uint8Array) => {
    const data = keyView('commits', key, 12)
    return { index: Number(data.getBigUint64(EPOCH_BYTES)), part: data.getUint32(EPOCH_BYTES + 8) }
  },
  range: (key: Uint8Array) => ({ index: Number(keyView('range', key, 8).getBigUint64(EPOCH_BYTES)) }),
  checkpoint: (key: Uint8Array) => ({ index: Number(keyView('checkpoints', key, 8).getBigUint64(EPOCH_BYTES)) }),
  run: (key: Uint8Array) => {
    const data = keyView('runs', key, 14)
    return {
      author: data.getUint16(EPOCH_BYTES),
      worker: data.getUint32(EPOCH_BYTES + 2),
      first: data.getBigUint64(EPOCH_BYTES + 6),
    }
  },
}

/** Where a certificate lies: the value of `digests`. */
export function encodePlace(round: number, author: number): Buffer {
  const bytes = Buffer.allocUnsafe(10)
  bytes.writeBigUInt64BE(BigInt(round))
  bytes.writeUInt16BE(author, 8)
  return bytes
}

export function decodePlace(value: Uint8Array): { round: number; author: number } {
  return roundAndAuthor(view('a place', value, 10), 0)
}

export interface StoredCertificate {
  readonly digest: Uint8Array
  /** The record. */
  readonly bytes: Uint8Array
}

/** The value of `certificates`: a copy. */
export function decodeStoredCertificate(value: Uint8Array): StoredCertificate {
  if (value.length <= DIGEST_BYTES) throw damaged(`a certificate of ${value.length} bytes`)
  return {
    digest: new Uint8Array(value.subarray(0, DIGEST_BYTES)),
    bytes: new Uint8Array(value.subarray(DIGEST_BYTES)),
  }
}

export function encodeHead({ digest, index, nextBatch }: LogHead): Buffer {
  return Buffer.concat([encodeNumbers([index]), digest, encodeNumbers([nextBatch])])
}

export function decodeHead(value: Uint8Array): LogHead {
  const data = view('the head of the log', value, 16 + DIGEST_BYTES)
  return {
    index: Number(data.getBigUint64(0)),
    digest: new Uint8Array(value.subarray(8, 8 + DIGEST_BYTES)),
    nextBatch: Number(data.getBigUint64(8 + DIGEST_BYTES)),
  }
}

export function encodeNumbers(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(8 * values.length)
  for (const [at, value] of values.entries()) bytes.writeBigUInt64BE(BigInt(value), 8 * at)
  return bytes
}

/** @param what names it in an error */
export function decodeNumbers(what: string, value: Uint8Array, count: number): number[] {
  const data = view(what, value, 8 * count)
  return Array.from({ length: count }, (_, at) => Number(data.getBigUint64(8 * at)))
}

/** The node of this height in an entry of `range`. */
export function nodeOf(entry: Uint8Array | undefined, { height, record }: NodePlace): Uint8Array {
  const at = height * DIGEST_BYTES
  if (entry === undefined || entry.length < at + DIGEST_BYTES) {
    throw damaged(`the range over its records has no node of height ${height} that ends at commit ${record}`)
  }
  return new Uint8Array(entry.subarray(at, at + DIGEST_BYTES))
}

export function damaged(what: string): NarvalError {
  return new NarvalError('ERR_STORE_DAMAGED', `the primary's store is damaged: ${what}`)
}

/** A view of a key that must have so many bytes behind the epoch. */
function keyView(what: string, key: Uint8Array, behindEpoch: number): DataView {
  return view(`a key of ${what}`, key, EPOCH_BYTES + behindEpoch)
}

/** A view of bytes that must be so many. */
function view(what: string, bytes: Uint8Array, length: number): DataView {
  if (bytes.length !== length) throw damaged(`${what} has ${bytes.length} bytes, expected ${length}`)
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function roundAndAuthor(data: DataView, at: number): { round: number; author: number } {
  return { round: Number(data.getBigUint64(at)), author: data.getUint16(at + 8) }
}
