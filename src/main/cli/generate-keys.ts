import { rmSync } from 'node:fs'
import { generateKeys, writeKeys } from '../../shared/config/keys.js'

/**
 * Makes a key pair and writes it to a new file that its owner alone can read. Prints nothing, as the reference.
 *
 * @param store of the authority to be: is marked as that of a new one
 */
export async function generateKeyFile(path: string, store?: string): Promise<void> {
  const keys = generateKeys()
  writeKeys(path, keys)
  if (store === undefined) return
  // It brings the store's native parts with it.
  const { markFresh } = await import('../authority/mark-fresh.js')
  try {
    markFresh(store, keys)
  } catch (error) {
    // Or the command, given again, would be refused for its own file.
    rmSync(path)
    throw error
  }
}
