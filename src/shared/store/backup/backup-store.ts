/** Makes a backup of one store, of a worker or of a primary, in an empty directory, while a node runs it or not. */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../../errors.js'
import { flushDirectory } from '../flushed-file.js'
import { checkFormat, META_FORMAT } from '../format.js'
import { checkPrimaryFormat, decodeHead, isPrimaryFormat, META_SETTINGS, PrimaryKeys } from '../primary/format.js'
import { decodeSettings } from '../primary/settings.js'
import { DATA_FILE } from '../store-error.js'
import { StoreFile, type StoreSnapshot } from '../store-snapshot.js'
import { backupError, writing } from './backup-error.js'
import { copyCells } from './copy-cells.js'
import { copyEnvironment } from './copy-environment.js'
import { dropAndMark } from './drop-batches.js'
import { markPrimaryBackup } from './mark.js'

export interface BackupHandlers {
  /** Batches in segments that are copied, and their bytes. */
  readonly onProgress: (batches: number, bytes: number) => void
  /** What somebody should know. */
  readonly onNotice: (text: string) => void
  /** A batch of the store is damaged, and not in the backup. */
  readonly onDamaged: (digest: Uint8Array) => void
  readonly signal: AbortSignal
}

export type BackedUp =
  | { readonly kind: 'primary'; readonly bytes: number; readonly lastCommit: number }
  | {
      readonly kind: 'worker'
      readonly bytes: number
      /** Batches that lie in segments. */
      readonly batches: number
      /** Batches that the worker has deleted meanwhile, and that are not in the backup. */
      readonly deleted: number
      readonly damaged: number
    }

/**
 * @param target a directory to be made
 * @throws NarvalError ERR_FILE_MISSING, ERR_FILE_UNREADABLE, ERR_STORE_FORMAT, ERR_STORE_DAMAGED, ERR_STORE_WRITE; the
 *   reason of the signal
 */
export async function backupStore(source: string, target: string, handlers: BackupHandlers): Promise<BackedUp> {
  const isPrimary = kindOf(source) === 'primary'
  const { onNotice, signal } = handlers
  writing(target, () => mkdirSync(target))
  await copyEnvironment(source, target, onNotice, signal)
  signal.throwIfAborted()
  const result = isPrimary ? await finishPrimary(target) : await finishWorker(source, target, handlers)
  writing(target, () => flushDirectory(target))
  return result
}

function kindOf(source: string): BackedUp['kind'] {
  const format = read(source, (snapshot) => snapshot.get('meta', META_FORMAT))
  if (format?.length !== 8) throw new NarvalError('ERR_STORE_DAMAGED', `the store ${source} has no format`)
  if (!isPrimaryFormat(format)) checkFormat(format, source)
  else checkPrimaryFormat(format, source)
  return isPrimaryFormat(format) ? 'primary' : 'worker'
}

async function finishPrimary(target: string): Promise<BackedUp> {
  const { epoch, head } = read(target, (snapshot) => {
    const { epoch } = decodeSettings(snapshot.get('meta', META_SETTINGS))
    return { epoch, head: snapshot.get('state', new PrimaryKeys(epoch).state('head')) }
  })
  await markPrimaryBackup(target, epoch, Date.now()).catch((error: unknown) => {
    throw backupError(target, error)
  })
  return { kind: 'primary', bytes: dataBytes(target), lastCommit: head === undefined ? 0 : decodeHead(head).index }
}

async function finishWorker(
  source: string,
  target: string,
  { onDamaged, onProgress, signal }: BackupHandlers,
): Promise<BackedUp> {
  const { absent, bytes, count } = await copyCells(source, target, {
    onProgress,
    signal,
  })
  await dropAndMark(target, absent, Date.now()).catch((error: unknown) => {
    throw backupError(target, error)
  })
  const damaged = absent.filter(({ isDamaged }) => isDamaged)
  for (const { digest } of damaged) onDamaged(digest)
  return {
    kind: 'worker',
    bytes: dataBytes(target) + bytes,
    batches: count,
    deleted: absent.length - damaged.length,
    damaged: damaged.length,
  }
}

function read<T>(directory: string, of: (snapshot: StoreSnapshot) => T): T {
  const file = new StoreFile(directory)
  try {
    return file.read(of)
  } finally {
    file.close()
  }
}

function dataBytes(directory: string): number {
  return statSync(join(directory, DATA_FILE)).size
}
