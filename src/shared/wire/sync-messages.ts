/** The control messages of `/narval/sync/1`: lists of digests, as MessagePack arrays of 32-byte `bin` values. */
import { Packr } from 'msgpackr'
import { DIGEST_BYTES, REQUEST_DIGESTS_MAX } from '../constants.js'
import { NarvalError } from '../errors.js'

const packr = (): Packr => new Packr({ useRecords: false })

export function encodeDigests(digests: readonly Uint8Array[]): Uint8Array {
  return packr().pack(digests)
}

/** Errors: `ERR_TOO_MANY_DIGESTS` beyond REQUEST_DIGESTS_MAX entries; `ERR_CODEC` if it is anything else than digests. */
export function decodeDigests(bytes: Uint8Array): Uint8Array[] {
  let value: unknown
  try {
    value = packr().unpack(bytes)
  } catch (error) {
    throw new NarvalError('ERR_CODEC', 'digests: not one MessagePack value', { cause: error })
  }
  if (!Array.isArray(value)) throw new NarvalError('ERR_CODEC', `digests: expected an array, found ${typeof value}`)
  if (value.length > REQUEST_DIGESTS_MAX) {
    throw new NarvalError('ERR_TOO_MANY_DIGESTS', `${value.length} digests, at most ${REQUEST_DIGESTS_MAX}`)
  }
  return value.map((digest: unknown) => {
    if (!(digest instanceof Uint8Array) || digest.length !== DIGEST_BYTES) {
      throw new NarvalError('ERR_CODEC', `digests: expected ${DIGEST_BYTES} bytes each`)
    }
    return new Uint8Array(digest)
  })
}
