/** Reads the order of an authority on, beside the running node: its commit log, and the batches in its worker's store. */
import { encodeBase64 } from '../../../src/shared/crypto/public-key.js'
import { decodeOwnEntry } from '../../../src/shared/store/format.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { type EvidenceKey, readKey } from '../../../src/shared/store/primary/format.js'
import { openStoreReader } from '../../../src/shared/store/store-reader.js'
import { StoreFile } from '../../../src/shared/store/store-snapshot.js'
import { numbersIn } from '../stores.js'
import type { AuthorityProcess } from './authority-process.js'

export interface OrderedRecord {
  readonly index: number
  /** In hexadecimal, as `narval log` says it. */
  readonly digest: string
  /** Digests in base64. */
  readonly batches: readonly string[]
}

/** The records behind a commit, up to the end of the log. */
export function recordsOf({ primaryStore }: Pick<AuthorityProcess, 'primaryStore'>, after = 0): OrderedRecord[] {
  const reader = new CommitLogReader(primaryStore)
  try {
    return Array.from(reader.commits(after), (commit) => ({
      index: commit.index,
      digest: Buffer.from(commit.digest()).toString('hex'),
      batches: Array.from(commit.batches(), ({ digest }) => encodeBase64(digest)),
    }))
  } finally {
    reader.close()
  }
}

/** The index of the last commit. */
export function lastCommitOf({ primaryStore }: Pick<AuthorityProcess, 'primaryStore'>): number {
  const reader = new CommitLogReader(primaryStore)
  try {
    return reader.bounds().last
  } finally {
    reader.close()
  }
}

/** The own batches that the worker has stored: they have a certificate, or get one. */
export function ownBatchesOf({ workerStore }: Pick<AuthorityProcess, 'workerStore'>): string[] {
  const file = new StoreFile(workerStore)
  try {
    return file.read((snapshot) =>
      snapshot
        .entries('own', Number.POSITIVE_INFINITY)
        .map((entry) => encodeBase64(decodeOwnEntry(snapshot.valueOf(entry)).digest)),
    )
  } finally {
    file.close()
  }
}

/** What the primary keeps as evidence: who has signed two headers of one round. Authorities that do not lie never have. */
export function evidenceOf({ primaryStore }: Pick<AuthorityProcess, 'primaryStore'>): EvidenceKey[] {
  const file = new StoreFile(primaryStore)
  try {
    return file.read((snapshot) =>
      snapshot.entries('evidence', Number.POSITIVE_INFINITY).map(({ key }) => readKey.evidence(key)),
    )
  } finally {
    file.close()
  }
}

/** A batch that is ordered and not here: it is on its way. */
export class BatchNotHereError extends Error {}

/** The numbers of a batch's transactions, from the authority's own store. @throws BatchNotHereError, Error if it is damaged */
export function batchReaderOf({ workerStore }: Pick<AuthorityProcess, 'workerStore'>): {
  readonly numbers: (digest: string) => number[]
  readonly close: () => void
} {
  const reader = openStoreReader(workerStore)
  return {
    numbers: (digest) => {
      const batch = reader.get(Buffer.from(digest, 'base64'))
      if (batch === undefined) throw new BatchNotHereError(`${digest} is ordered, and not in ${workerStore}`)
      if (!batch.isWhole) throw new Error(`${digest} in ${workerStore} is damaged`)
      return numbersIn(batch.bytes)
    },
    close: () => reader.close(),
  }
}

/** The numbers of all transactions in the order of a log, with the bytes of the authority's own worker. */
export function numbersOf(node: AuthorityProcess): number[] {
  const batches = batchReaderOf(node)
  try {
    return recordsOf(node).flatMap(({ batches: digests }) => digests.flatMap((digest) => batches.numbers(digest)))
  } finally {
    batches.close()
  }
}
