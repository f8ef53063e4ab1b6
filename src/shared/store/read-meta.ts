/** The few words of `meta` that say what a store is, read before LMDB opens it and could make databases in it. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DATA_FILE } from './store-error.js'
import { StoreFile } from './store-snapshot.js'

/**
 * Behind `prepareFile`. Undefined if there is no store yet, or nothing under this name.
 *
 * @throws NarvalError ERR_STORE_FORMAT, ERR_STORE_DAMAGED
 */
export function readMeta(directory: string, name: Uint8Array): Buffer | undefined {
  const size = statSync(join(directory, DATA_FILE), { throwIfNoEntry: false })?.size ?? 0
  if (size === 0) return undefined
  const file = new StoreFile(directory)
  try {
    return file.read((snapshot) => snapshot.get('meta', name))
  } finally {
    file.close()
  }
}
