/** The hash of the dialect `narval`, by Node's own code. What has to run without Node is handed its hash (`mountain-range.ts`). */
import { createHash } from 'node:crypto'

/** SHA-256 of these bytes, one behind another. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
