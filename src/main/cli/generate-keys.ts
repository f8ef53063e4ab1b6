import { generateKeys, writeKeys } from '../../shared/config/keys.js'

/** Makes a key pair and writes it to a new file that its owner alone can read. Prints nothing, as the reference. */
export function generateKeyFile(path: string): void {
  writeKeys(path, generateKeys())
}
