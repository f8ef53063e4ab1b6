/**
 * What makes a copy of a store a backup. It has a store id of its own: a worker's primary believes nothing that it remembers
 * of the store it was copied from, and has what is missing fetched. And a primary's says that nothing may be signed, as
 * after `--recovered`: whoever runs it need not say so, and cannot forget it.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import type { BinaryDatabase } from '../environment.js'
import { META_BACKUP, META_STORE_ID, STORE_ID_BYTES } from '../format.js'
import { openPrimaryDatabases, PrimaryKeys } from '../primary/format.js'
import { DATA_FILE } from '../store-error.js'

/** The value of `signing` with which nothing may be signed before the others have spoken. */
const SIGNS_NOTHING = Buffer.alloc(1)

/** @param madeAtMs unix ms */
export async function markPrimaryBackup(directory: string, epoch: number, madeAtMs: number): Promise<void> {
  const { meta, root, state } = openPrimaryDatabases(directory)
  root.transactionSync(() => {
    state.putSync(new PrimaryKeys(epoch).state('signing'), SIGNS_NOTHING)
    putMark(meta, madeAtMs)
  })
  await closeFlushed(directory, root, meta)
}

export function putMark(meta: BinaryDatabase, madeAtMs: number): void {
  const madeAt = Buffer.allocUnsafe(8)
  madeAt.writeBigUInt64BE(BigInt(madeAtMs))
  meta.putSync(META_STORE_ID, randomBytes(STORE_ID_BYTES))
  meta.putSync(META_BACKUP, madeAt)
}

/** All is on the disk, and LMDB's pages say so: a power cut undoes none of it. */
export async function closeFlushed(directory: string, root: RootDatabase, meta: BinaryDatabase): Promise<void> {
  // The flush of a later commit counts for those before it.
  const put = meta.put(META_BACKUP, meta.getBinary(META_BACKUP)!) as Promise<boolean> & { flushed?: Promise<unknown> }
  await put
  await put.flushed
  await root.close()
  rmSync(join(directory, 'lock.mdb'), { force: true })
  const fd = openSync(join(directory, DATA_FILE), 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
