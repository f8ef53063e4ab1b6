/** A commit of consensus as the parts of its record (shared/store/primary/commit-parts.ts). */
import { partBytes, partsOf } from '../../../shared/store/primary/commit-parts.js'
import { COMMIT_PART_ENTRIES } from '../../../shared/store/primary/limits.js'
import {
  type CommitHead,
  encodeCommitHead,
  writeCommittedBatch,
  writeCommittedCertificate,
} from '../../../shared/wire/primary/commit-record.js'
import { COMMIT_ENTRY_BYTES, COMMIT_HEAD_BYTES } from '../../../shared/wire/primary/limits.js'
import type { Commit } from '../consensus/types.js'
import { digestBytes } from '../records.js'

/** What the record says that the commit does not. */
export type RecordContext = Pick<CommitHead, 'epoch' | 'firstBatch' | 'previous'>

/** In order; joined they are the record. */
export function encodeCommitParts(commit: Commit, context: RecordContext): Buffer[] {
  const { batches, index, timestamp, vertices } = commit
  const entries = vertices.length + batches.length
  return Array.from({ length: partsOf(entries) }, (_, part) => {
    const bytes = Buffer.allocUnsafeSlow(partBytes(entries, part))
    let at = 0
    if (part === 0) {
      bytes.set(
        encodeCommitHead({ ...context, index, timestamp, certificates: vertices.length, batches: batches.length }),
      )
      at = COMMIT_HEAD_BYTES
    }
    for (let entry = part * COMMIT_PART_ENTRIES; at < bytes.length; entry += 1, at += COMMIT_ENTRY_BYTES) {
      writeEntry(bytes, at, commit, entry)
    }
    return bytes
  })
}

function writeEntry(bytes: Buffer, at: number, { batches, vertices }: Commit, entry: number): void {
  if (entry < vertices.length) {
    const { author, digest, round } = vertices[entry]!
    writeCommittedCertificate(bytes, at, { id: digestBytes(digest), round, author })
    return
  }
  const { author, digest, sequence, worker } = batches[entry - vertices.length]!
  writeCommittedBatch(bytes, at, { digest: digestBytes(digest), author, worker, sequence })
}
