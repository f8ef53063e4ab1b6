/** Stores of primaries with commits that follow from their index (threads/commit-pattern.mjs). */
import { CommitLogReader, type LoggedCommit } from '../../src/shared/store/primary/commit-log-reader.js'
import { encodeCertificate } from '../../src/shared/wire/primary/certificate.js'
import { headerId } from '../../src/shared/wire/primary/header-id.js'
import { RecordChain } from '../../src/threads/primary/commit-log/record-chain.js'
import {
  PrimaryStore,
  type PrimaryStoreDependencies,
  type PrimaryStoreOptions,
} from '../../src/threads/primary/store/primary-store.js'
import { batchOf, type PatternWrite, patternOf, recorder, SETTINGS } from './threads/commit-pattern.mjs'

export const { certificateOf, commitOf, positionOf, turnOf } = patternOf({ encodeCertificate, headerId })

export async function openPrimaryStore(
  directory: string,
  options: Partial<PrimaryStoreOptions> = {},
  dependencies: Partial<PrimaryStoreDependencies> = {},
): Promise<PrimaryStore> {
  const store = new PrimaryStore(
    { directory, settings: SETTINGS, ...options },
    {
      onFatal: (error) => {
        throw error
      },
      onNotice: () => {},
      ...dependencies,
    },
  )
  await store.open()
  return store
}

const recorders = new WeakMap<PrimaryStore, ReturnType<typeof recorder>>()

/** Resolves when the writes are on the disk. */
export function written(store: PrimaryStore, ...writes: readonly PatternWrite[]): Promise<void> {
  const record = recorders.get(store) ?? recorder(RecordChain, store)
  recorders.set(store, record)
  return new Promise((resolve) => store.write(record(writes), resolve))
}

/** A store with commits up to this index, that nobody runs. */
export async function fillLog(
  directory: string,
  last: number,
  options: Partial<PrimaryStoreOptions> = {},
): Promise<void> {
  const store = await openPrimaryStore(directory, options)
  for (let from = store.lastCommit + 1; from <= last; from += 100) {
    await written(store, ...turnOf(from, Math.min(last, from + 99)))
  }
  await store.close()
}

/** What a reader is shown of a commit, as a text that says all of it. */
export function shown(commit: LoggedCommit): string {
  const certificates = Array.from(commit.certificates(), ({ author, id, round }) => `${round}.${author} ${hex(id)}`)
  const batches = Array.from(
    commit.batches(),
    ({ author, digest, sequence, worker }) => `${author}.${worker}.${sequence} ${hex(digest)}`,
  )
  return [commit.index, commit.timestamp, commit.firstBatch, ...certificates, ...batches].join('\n')
}

/** What it has to be. `firstBatch` counts the batches before. */
export function expectedOf(index: number, batchCount = index % 5): string {
  const { author, digest, round } = certificateOf(index)
  const batches = Array.from({ length: batchCount }, (_, position) => batchOf(index, position))
  return [
    index,
    1_000 + index,
    Array.from({ length: index - 1 }, (_, n) => (n + 1) % 5).reduce((sum, n) => sum + n, 0),
    `${round}.${author} ${hex(digest)}`,
    ...batches.map(({ author, digest, sequence, worker }) => `${author}.${worker}.${sequence} ${hex(digest)}`),
  ].join('\n')
}

/** All that a new reader is shown behind a commit. */
export function readLog(directory: string, after = 0): string[] {
  const reader = new CommitLogReader(directory)
  try {
    return Array.from(reader.commits(after), shown)
  } finally {
    reader.close()
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
