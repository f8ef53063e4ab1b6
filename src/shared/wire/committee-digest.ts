/**
 * Names a committee: what its authorities must agree on before they speak, and what their signatures are of. SHA-256 over
 *
 * ```
 *  "narval/committee/v1", zeros to 32 ‖ u32 count ‖ for each authority, by raw key:
 *      public key 32 ‖ u32 stake ‖ u32 number of workers ‖ u32 worker ids, ascending
 * ```
 *
 * Integers are little-endian. Addresses and peer ids may differ from file to file. It needs no Node.
 */
import { sha256 } from './hash.js'
import { domain } from './primary/record.js'

const DOMAIN = domain('narval/committee/v1')

/** What of an authority is in the digest. */
export interface DigestedMember {
  readonly publicKey: Uint8Array
  readonly stake: number
  /** Ids, ascending. */
  readonly workers: readonly number[]
}

/** @param members by raw key: the order of their indices */
export function digestOfMembers(members: readonly DigestedMember[]): Uint8Array {
  const parts = members.flatMap(({ publicKey, stake, workers }) => [
    publicKey,
    u32(stake),
    u32(workers.length),
    ...workers.map(u32),
  ])
  return sha256(DOMAIN, u32(members.length), ...parts)
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}
