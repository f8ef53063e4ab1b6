/** The digest of a record of the log, of one that need not be in one piece. */
import { createHash } from 'node:crypto'
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import { COMMIT_DOMAIN } from './commit-record.js'

/** Names the record. `pieces` are its bytes, in order. */
export function commitDigest(committeeDigest: Uint8Array, pieces: Iterable<Uint8Array>): Uint8Array {
  assert(committeeDigest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  const hash = createHash('sha256').update(COMMIT_DOMAIN).update(committeeDigest)
  for (const piece of pieces) hash.update(piece)
  return new Uint8Array(hash.digest())
}
