/**
 * The fields of a ring's descriptor. Each dialogue is a discriminated union per direction, and a codec that lays it out here.
 *
 * ```
 *  0      1       2      4      8          16       20       24         28       32                64
 *  ├ kind ┼ level ┼ peer ┼ slot ┼ sequence ┼ length ┼ count  ┼ payload  ┼ author ┼ digest or mask ─┤
 *    u8     u8      u16    u32    u64        u32      u32      u32        u32      32 bytes
 * ```
 *
 * A field that a kind does not name is not read. Integers are little-endian.
 */
import { DIGEST_BYTES } from '../../constants.js'

export const KIND = 0
export const LEVEL = 1
export const PEER = 2
export const SLOT = 4
export const SEQUENCE = 8
export const LENGTH = 16
export const COUNT = 20
export const PAYLOAD = 24
export const AUTHOR = 28
export const DIGEST = 32

export function writeBytes(view: DataView, offset: number, bytes: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset + offset, DIGEST_BYTES).set(bytes)
}

export function readBytes(view: DataView, offset: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, DIGEST_BYTES).slice()
}

export function unknownKind(kind: number): never {
  throw new Error(`a descriptor of an unknown kind, ${kind}: the threads were built from different sources`)
}
