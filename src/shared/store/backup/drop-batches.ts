/** Takes batches out of a copy that nobody runs, from all parts that name them, as a deletion does. */
import { META_OWN_DELETED, openDatabases, roundKey, type StoreDatabases, sequenceKey, UNCOMMITTED } from '../format.js'
import type { AbsentBatch } from './copy-cells.js'
import { BACKUP_DROPS_PER_TRANSACTION } from './limits.js'
import { closeFlushed, putMark } from './mark.js'

/** The mark of a backup goes with the last of them. */
export async function dropAndMark(directory: string, absent: readonly AbsentBatch[], madeAtMs: number): Promise<void> {
  const databases = openDatabases(directory)
  const { meta, root } = databases
  for (let from = 0; from < absent.length; from += BACKUP_DROPS_PER_TRANSACTION) {
    const some = absent.slice(from, from + BACKUP_DROPS_PER_TRANSACTION)
    root.transactionSync(() => {
      for (const batch of some) drop(databases, batch)
    })
  }
  root.transactionSync(() => putMark(meta, madeAtMs))
  await closeFlushed(directory, root, meta)
}

function drop(databases: StoreDatabases, { digest, entry }: AbsentBatch): void {
  const { batches, index, meta, own, stamps, uncommitted, unreported } = databases
  const { isOwn, placed, sequence, stamp } = entry
  index.removeSync(digest)
  batches.removeSync(roundKey(placed, digest))
  if (stamp !== UNCOMMITTED) stamps.removeSync(roundKey(stamp, digest))
  for (const marks of [uncommitted, unreported]) marks.removeSync(roundKey(sequence, digest))
  if (!isOwn) return
  own.removeSync(sequenceKey(sequence))
  const deleted = meta.getBinary(META_OWN_DELETED)
  if (deleted !== undefined && deleted.readBigUInt64BE() >= sequence) return
  meta.putSync(META_OWN_DELETED, sequenceKey(sequence))
}
