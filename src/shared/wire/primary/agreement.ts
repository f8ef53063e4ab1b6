/**
 * What primaries must have alike before they speak: with another rule, or another `gc_depth`, each would order the same
 * certificates in another way. It stands in the place of the committee's digest in a primary's hello:
 *
 * ```
 *  SHA-256("narval/primary-agreement/v2", zeros to 32 ‖ committee digest 32 ‖ gc_depth u64 LE ‖ the rule's name)
 * ```
 */
import { domain, writeWhole } from './record.js'
import { sha256 } from './sha256.js'

const DOMAIN = domain('narval/primary-agreement/v2')

export function primaryAgreement(committeeDigest: Uint8Array, rule: string, gcDepth: number): Uint8Array {
  const depth = new Uint8Array(8)
  writeWhole(new DataView(depth.buffer), 0, gcDepth)
  return sha256(DOMAIN, committeeDigest, depth, new TextEncoder().encode(rule))
}
