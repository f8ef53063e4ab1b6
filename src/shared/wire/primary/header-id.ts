/** The id of a header, by Node's own hash. `header.ts` needs no Node: a browser reads headers with it. */
import { assert } from '../../assert.js'
import { DIGEST_BYTES, SIGNATURE_BYTES } from '../../constants.js'
import { encodeUnsignedHeader, HEADER_ID_DOMAIN, type UnsignedHeader } from './header.js'
import { sha256 } from './sha256.js'

/** Names the header, and its certificate: 32 bytes. */
export function headerId(committeeDigest: Uint8Array, header: UnsignedHeader): Uint8Array {
  assert(committeeDigest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  return sha256(HEADER_ID_DOMAIN, committeeDigest, encodeUnsignedHeader(header))
}

/** The same, of a record with its signature that `decodeHeader` has taken: a header has one form. */
export function headerIdOfRecord(committeeDigest: Uint8Array, bytes: Uint8Array): Uint8Array {
  assert(committeeDigest.length === DIGEST_BYTES, 'a digest has 32 bytes')
  return sha256(HEADER_ID_DOMAIN, committeeDigest, bytes.subarray(0, bytes.length - SIGNATURE_BYTES))
}
