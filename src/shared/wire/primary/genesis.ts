/**
 * Genesis: the parents of the headers of round 1. Nobody makes these certificates and nobody sends them; their digests
 * follow from the committee.
 *
 * ```
 *  SHA-256("narval/genesis/v1", zeros to 32 ‖ committee digest ‖ epoch u64 ‖ author u16)
 * ```
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import * as record from './record.js'
import { sha256 } from './sha256.js'

const DOMAIN = record.domain('narval/genesis/v1')

/** The digests by authority index, 32 bytes each. */
export function genesisDigests(committeeDigest: Uint8Array, epoch: number, authorities: number): Uint8Array[] {
  assert(committeeDigest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  return Array.from({ length: authorities }, (_, author) => {
    const place = new Uint8Array(10)
    const view = new DataView(place.buffer)
    record.writeWhole(view, 0, epoch)
    record.writeAuthority(view, 8, author)
    return sha256(DOMAIN, committeeDigest, place)
  })
}
