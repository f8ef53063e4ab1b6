/** The control messages of `/narval/sync/1`: lists of digests, as MessagePack arrays of 32-byte `bin` values. */
import { Packr } from 'msgpackr'
import { DIGEST_BYTES, REQUEST_DIGESTS_MAX } from '../constants.js'
import { NarvalError } from '../errors.js'
import { digestKey } from './digest-key.js'
import { MessagePackReader } from './messagepack.js'

export function encodeDigests(digests: readonly Uint8Array[]): Uint8Array {
  return new Packr({ useRecords: false }).pack(digests)
}

/**
 * Each digest once, and nothing behind them.
 *
 * Errors: `ERR_TOO_MANY_DIGESTS` beyond REQUEST_DIGESTS_MAX entries; `ERR_CODEC` if it is anything else than digests.
 */
export function decodeDigests(bytes: Uint8Array): Uint8Array[] {
  const reader = new MessagePackReader(bytes)
  const count = reader.array('digests')
  if (count > REQUEST_DIGESTS_MAX) {
    throw new NarvalError('ERR_TOO_MANY_DIGESTS', `${count} digests, at most ${REQUEST_DIGESTS_MAX}`)
  }
  const digests = Array.from({ length: count }, () => reader.bin('digest', DIGEST_BYTES))
  reader.end('digests')
  if (new Set(digests.map(digestKey)).size < count) throw new NarvalError('ERR_CODEC', 'digests: one of them twice')
  return digests
}
