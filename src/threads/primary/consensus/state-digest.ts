/**
 * The digest of what consensus knows of a committed prefix: whoever has the records and a state with this digest goes on as
 * the others do. It is taken right after a commit, so nothing in it depends on what is not decided, or on what came when.
 *
 * ```
 *  SHA-256("narval/consensus-state/v1", zeros to 32
 *          ‖ SHA-256(the position as JSON, without blanks, keys sorted) 32
 *          ‖ by author and worker, ascending: author u16 ‖ worker u32 ‖ SHA-256(its committed runs) 32)
 * ```
 *
 * Integers are little-endian. The position is all of the state but the committed sequences: `ConsensusPosition`.
 */
import { domain } from '../../../shared/wire/primary/record.js'
import { sha256 } from '../../../shared/wire/primary/sha256.js'
import type { ConsensusPosition } from './consensus-state.js'

const DOMAIN = domain('narval/consensus-state/v1')

/** By author and worker, ascending: the digest of the committed sequences. */
export type RunDigests = Iterable<readonly [author: number, worker: number, digest: Uint8Array]>

/** What the digest is taken of. */
export interface CommittedState {
  readonly position: ConsensusPosition
  readonly runs: readonly (readonly [author: number, worker: number, digest: Uint8Array])[]
}

export function stateDigest(position: ConsensusPosition, runs: RunDigests): Uint8Array {
  const { claims, gcDepth, index, rule, ruleState, stakes, timestamp } = position
  const text = JSON.stringify(sorted({ claims, gcDepth, index, rule, ruleState, stakes, timestamp }))
  const parts = [DOMAIN, sha256(Buffer.from(text))]
  for (const [author, worker, digest] of runs) {
    const name = Buffer.alloc(6)
    name.writeUInt16LE(author)
    name.writeUInt32LE(worker, 2)
    parts.push(name, digest)
  }
  return sha256(...parts)
}

/** The same value, of which JSON has one form. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, of]) => [key, sorted(of)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
