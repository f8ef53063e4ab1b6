/**
 * A commit as the log has it: what an anchor adds to the order. It is the same on all authorities, byte for byte, so logs
 * are compared by the digests of their records. Integers are little-endian; an authority is its index in the committee.
 *
 * ```
 *  0     1      2       8       16      24          32            40               48          56          88
 *  ├ 1 ──┼ 16 ──┼ zeros ┼ epoch ┼ index ┼ timestamp ┼ first batch ┼ certificates c ┼ batches b ┼ previous ─┤
 *  version kind           u64     u64     u64, ms     u64           u64              u64         digest 32
 *
 *  88                             then
 *  ├ c certificates, 48 each ─────┼ b batches, 48 each ───────────────────────────────────────────────┤
 *    header id 32 ‖ round u64       digest 32 ‖ author u16 ‖ 1 if there is no sequence, else 0: u16
 *    ‖ author u16 ‖ 6 zeros         ‖ worker u32 ‖ sequence u64
 *
 *  digest   SHA-256("narval/commit/v1", zeros to 32 ‖ committee digest ‖ the record)
 * ```
 *
 * Both are in the order that all authorities share; the last certificate is the anchor. `index` is dense from 1. `first
 * batch` counts the batches of all commits before. `previous` is the digest of the record before; zeros in the first one.
 *
 * A commit can name more batches than fit into memory, so the codec reads and writes head and entries apart.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import type { BatchEntry } from './header.js'
import {
  COMMIT_BATCHES_PER_CERTIFICATE_MAX,
  COMMIT_CERTIFICATES_MAX,
  COMMIT_ENTRY_BYTES,
  COMMIT_HEAD_BYTES,
} from './limits.js'
import * as record from './record.js'

/** In front of what is hashed to the digest of a record. */
export const COMMIT_DOMAIN = record.domain('narval/commit/v1')
const NO_SEQUENCE = 1

export interface CommitHead {
  readonly epoch: number
  readonly index: number
  /** Unix ms. */
  readonly timestamp: number
  /** Batches in all commits before this one. */
  readonly firstBatch: number
  /** How many there are. */
  readonly certificates: number
  readonly batches: number
  /** The digest of the record before. */
  readonly previous: Uint8Array
}

export interface CommittedCertificate {
  /** The id of its header, 32 bytes. */
  readonly id: Uint8Array
  readonly round: number
  readonly author: number
}

export interface CommittedBatch {
  readonly digest: Uint8Array
  readonly author: number
  readonly worker: number
  /** Headers of the reference do not say it. */
  readonly sequence: bigint | undefined
}

/** Whether an entry of a header is the batch of a commit. */
export function isSameBatch(listed: BatchEntry, batch: CommittedBatch): boolean {
  return (
    record.compareBytes(listed.digest, batch.digest) === 0 &&
    listed.author === batch.author &&
    listed.worker === batch.worker &&
    (batch.sequence === undefined || listed.sequence === batch.sequence)
  )
}

export interface CommitRecord extends Omit<CommitHead, 'certificates' | 'batches'> {
  readonly certificates: readonly CommittedCertificate[]
  readonly batches: readonly CommittedBatch[]
}

/** What the first record has as `previous`. */
export const NO_COMMIT = new Uint8Array(DIGEST_BYTES)

export function encodeCommitHead(head: CommitHead): Uint8Array {
  assert(head.index >= 1, 'the index of a commit begins with 1')
  assert(isWithin(head), 'a commit within its limits')
  const bytes = new Uint8Array(COMMIT_HEAD_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set([record.RECORD_VERSION, record.COMMIT_KIND])
  const { epoch, index, timestamp, firstBatch, certificates, batches } = head
  for (const [at, value] of [epoch, index, timestamp, firstBatch, certificates, batches].entries()) {
    record.writeWhole(view, 8 + 8 * at, value)
  }
  record.writeDigest(bytes, 56, head.previous)
  return bytes
}

/** @param bytes begins with a head; what is behind it is not looked at. @throws NarvalError ERR_CODEC */
export function decodeCommitHead(bytes: Uint8Array): CommitHead {
  const head = bytes.subarray(0, COMMIT_HEAD_BYTES)
  const view = record.open('commit', head, COMMIT_HEAD_BYTES, COMMIT_HEAD_BYTES)
  record.readZeros('commit', head, 2, 6)
  const decoded = {
    epoch: record.readWhole('commit', view, 8, 'epoch'),
    index: record.readWhole('commit', view, 16, 'index', 1),
    timestamp: record.readWhole('commit', view, 24, 'timestamp'),
    firstBatch: record.readWhole('commit', view, 32, 'first batch'),
    certificates: record.readWhole('commit', view, 40, 'certificates', 1),
    batches: record.readWhole('commit', view, 48, 'batches'),
    previous: record.readBytes(head, 56, DIGEST_BYTES),
  }
  if (!isWithin(decoded)) throw malformed(`${decoded.certificates} certificates and ${decoded.batches} batches`)
  const isFirst = record.compareBytes(decoded.previous, NO_COMMIT) === 0
  if (isFirst !== (decoded.index === 1))
    throw malformed(`index ${decoded.index}, and another commit before than it has`)
  return decoded
}

export function writeCommittedCertificate(
  out: Uint8Array,
  at: number,
  { author, id, round }: CommittedCertificate,
): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  assert(round >= 1, 'genesis is never committed')
  record.writeDigest(out, at, id)
  record.writeWhole(view, at + 32, round)
  record.writeAuthority(view, at + 40, author)
  out.fill(0, at + 42, at + COMMIT_ENTRY_BYTES)
}

/** @throws NarvalError ERR_CODEC */
export function readCommittedCertificate(bytes: Uint8Array, at: number, authorities: number): CommittedCertificate {
  const view = viewOf(bytes)
  record.readZeros('commit', bytes, at + 42, 6)
  return {
    id: record.readBytes(bytes, at, DIGEST_BYTES),
    round: record.readWhole('commit', view, at + 32, 'round', 1),
    author: record.readAuthority('commit', view, at + 40, 'a certificate of authority', authorities),
  }
}

export function writeCommittedBatch(out: Uint8Array, at: number, batch: CommittedBatch): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  record.writeDigest(out, at, batch.digest)
  record.writeAuthority(view, at + 32, batch.author)
  view.setUint16(at + 34, batch.sequence === undefined ? NO_SEQUENCE : 0, true)
  view.setUint32(at + 36, batch.worker, true)
  view.setBigUint64(at + 40, batch.sequence ?? 0n, true)
}

/** @throws NarvalError ERR_CODEC */
export function readCommittedBatch(bytes: Uint8Array, at: number, authorities: number): CommittedBatch {
  const view = viewOf(bytes)
  const [flag, sequence] = [view.getUint16(at + 34, true), view.getBigUint64(at + 40, true)]
  if (flag > NO_SEQUENCE || (flag === NO_SEQUENCE && sequence !== 0n)) {
    throw malformed(`a batch with the flag ${flag} and sequence ${sequence}`)
  }
  return {
    digest: record.readBytes(bytes, at, DIGEST_BYTES),
    author: record.readAuthority('commit', view, at + 32, 'a batch of authority', authorities),
    worker: view.getUint32(at + 36, true),
    sequence: flag === NO_SEQUENCE ? undefined : sequence,
  }
}

/** A whole record in one piece: for tests, and for commits that are known to be small. */
export function encodeCommitRecord(commit: CommitRecord): Uint8Array {
  const { batches, certificates } = commit
  const bytes = new Uint8Array(COMMIT_HEAD_BYTES + (certificates.length + batches.length) * COMMIT_ENTRY_BYTES)
  bytes.set(encodeCommitHead({ ...commit, certificates: certificates.length, batches: batches.length }))
  let at = COMMIT_HEAD_BYTES
  for (const certificate of certificates) {
    writeCommittedCertificate(bytes, at, certificate)
    at += COMMIT_ENTRY_BYTES
  }
  for (const batch of batches) {
    writeCommittedBatch(bytes, at, batch)
    at += COMMIT_ENTRY_BYTES
  }
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeCommitRecord(bytes: Uint8Array, authorities: number): CommitRecord {
  const head = decodeCommitHead(bytes)
  const expected = COMMIT_HEAD_BYTES + (head.certificates + head.batches) * COMMIT_ENTRY_BYTES
  if (bytes.length !== expected) throw malformed(`${bytes.length} bytes, expected ${expected}`)
  const entryAt = (n: number): number => COMMIT_HEAD_BYTES + n * COMMIT_ENTRY_BYTES
  const certificates = Array.from({ length: head.certificates }, (_, n) =>
    readCommittedCertificate(bytes, entryAt(n), authorities),
  )
  const batches = Array.from({ length: head.batches }, (_, n) =>
    readCommittedBatch(bytes, entryAt(head.certificates + n), authorities),
  )
  return { ...head, certificates, batches }
}

function isWithin({ batches, certificates }: Pick<CommitHead, 'batches' | 'certificates'>): boolean {
  return (
    certificates >= 1 &&
    certificates <= COMMIT_CERTIFICATES_MAX &&
    batches <= certificates * COMMIT_BATCHES_PER_CERTIFICATE_MAX
  )
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function malformed(problem: string): Error {
  return record.malformed('commit', problem)
}
