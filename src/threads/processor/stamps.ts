/**
 * Where a batch stands between its storing and its deletion: in `uncommitted` until a commit has it, if the primary says
 * what is committed, and in `stamps` from then on. Deletion knows `stamps` alone.
 */
import { type IndexEntry, roundKey, type StoreDatabases, UNCOMMITTED } from '../../shared/store/format.js'
import type { Put } from './store-writes.js'

export type Standing = Pick<IndexEntry, 'sequence' | 'stamp'>

const EMPTY = new Uint8Array(0)

export function putStanding(databases: StoreDatabases, digest: Uint8Array, { sequence, stamp }: Standing): Put {
  const { stamps, uncommitted } = databases
  if (stamp === UNCOMMITTED) return uncommitted.put(roundKey(sequence, digest), EMPTY)
  return stamps.put(roundKey(stamp, digest), EMPTY)
}

export function removeStanding(databases: StoreDatabases, digest: Uint8Array, { sequence, stamp }: Standing): Put {
  const { stamps, uncommitted } = databases
  if (stamp === UNCOMMITTED) return uncommitted.remove(roundKey(sequence, digest))
  return stamps.remove(roundKey(stamp, digest))
}
