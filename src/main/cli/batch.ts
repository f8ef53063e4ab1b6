/** Prints a stored batch: for a person, or as its bytes. */
import { writeSync } from 'node:fs'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import { commandName, shellWord } from '../../shared/runtime/command.js'
import { storesIn } from '../../shared/store/authority-directories.js'
import { BATCH_VERSION, readBatchHeader, transactions } from '../../shared/wire/batch.js'

/** The part of a store that this needs. */
export interface BatchSource {
  get(digest: Uint8Array): StoredBatch | undefined
}

export interface StoredBatch {
  readonly author: Uint8Array
  /** Undefined while no commit has it, where the primary says what is committed. */
  readonly stamp: bigint | undefined
  readonly bytes: Uint8Array
  /** The bytes are those that the digest names. */
  readonly isWhole: boolean
}

export async function printBatch(digest: Uint8Array, options: { store: string; raw: boolean }): Promise<void> {
  const { openStoreReader } = await import('../../shared/store/store-reader.js')
  // Of an authority, whichever of its workers has it.
  const workers = storesIn(options.store).filter(([name]) => name !== 'primary')
  const found: (StoredBatch | undefined)[] = []
  for (const [, path] of workers.length === 0 ? [['', options.store] as const] : workers) {
    const reader = openStoreReader(path)
    try {
      found.push(reader.get(digest))
    } finally {
      reader.close()
    }
  }
  const best = found.find((one) => one?.isWhole) ?? found.find((one) => one !== undefined)
  const batch = findBatch({ get: () => best }, digest, options.store)
  if (options.raw) writeAll(batch.bytes)
  else writeAll(Buffer.from(describeBatch(digest, batch)))
}

/** @throws NarvalError ERR_BATCH_NOT_FOUND, ERR_STORE_DAMAGED */
export function findBatch(source: BatchSource, digest: Uint8Array, where: string): StoredBatch {
  const batch = source.get(digest)
  if (batch?.isWhole) return batch
  if (batch !== undefined) {
    throw new NarvalError(
      'ERR_STORE_DAMAGED',
      `the batch ${encodeBase64(digest)} in ${where} is damaged: its bytes are not those of its digest; \`${commandName()} check --store ${shellWord(where)}\` reads all others`,
    )
  }
  throw new NarvalError(
    'ERR_BATCH_NOT_FOUND',
    `${where} has no batch ${encodeBase64(digest)}: deleted, or never received`,
  )
}

/** The header's fields, the author and the sizes of the transactions, one to a line. */
export function describeBatch(digest: Uint8Array, batch: StoredBatch): string {
  const header = readBatchHeader(batch.bytes)
  return [
    `digest        ${encodeBase64(digest)}`,
    `author        ${encodeBase64(batch.author)}`,
    `stamp         ${batch.stamp ?? 'none: no commit has it yet'}`,
    `version       ${BATCH_VERSION}`,
    `worker id     ${header.workerId}`,
    `sequence      ${header.sequence}`,
    `bytes         ${batch.bytes.length}`,
    `transactions  ${header.count}`,
    ...describeSizes(batch.bytes).map((line, index) => `${(index === 0 ? 'sizes' : '').padEnd(14)}${line}`),
    '',
  ].join('\n')
}

/** Sizes in order, equal neighbours in one line: `976 × 512 B`. */
export function describeSizes(bytes: Uint8Array): string[] {
  const runs: { size: number; count: number }[] = []
  for (const transaction of transactions(bytes)) {
    const last = runs.at(-1)
    if (last?.size === transaction.length) last.count += 1
    else runs.push({ size: transaction.length, count: 1 })
  }
  return runs.map(({ size, count }) => (count === 1 ? `${size} B` : `${count} × ${size} B`))
}

/** Synchronously and whole, since the process ends right after. A full pipe is waited for, one that was closed is not. */
function writeAll(bytes: Uint8Array): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  let at = 0
  while (at < bytes.length) {
    try {
      at += writeSync(1, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return
      if (code !== 'EAGAIN') throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}
