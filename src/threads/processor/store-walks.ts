/** Walks over the parts of the store, a few entries at a time, in the order of their keys. */
import type { OwnBatches, SequenceRange, StoredOwnBatch } from '../../shared/memory/dialogue/processor.js'
import {
  decodeOwnEntry,
  digestOfKey,
  leastKey,
  META_OWN_DELETED,
  numberOfKey,
  type StoreDatabases,
  sequenceKey,
} from '../../shared/store/format.js'
import { placeOf } from '../../shared/store/segments/cell.js'
import { readNumber } from './store-meta.js'

/** Own batches of these sequences that the primary has not been told of, in their order. */
export function unreported(
  { unreported }: StoreDatabases,
  { before, from }: SequenceRange,
  limit: number,
): { sequence: bigint; digest: Uint8Array }[] {
  const found: { sequence: bigint; digest: Uint8Array }[] = []
  if (from >= before) return found
  const keys = unreported.getKeys({ start: leastKey(from), end: leastKey(before), limit })
  for (const key of keys) found.push({ sequence: numberOfKey(key), digest: digestOfKey(key) })
  return found
}

/** The first keys of `uncommitted`, from the one after `after`. */
export function keysUncommitted(
  { uncommitted }: StoreDatabases,
  after: Uint8Array | undefined,
  limit: number,
): Uint8Array[] {
  return take(uncommitted.getKeys({ ...(after && { start: after }), limit: limit + 1 }), after, limit)
}

/** Own batches of these sequences, in their order. */
export function ownBatches({ meta, own }: StoreDatabases, { before, from }: SequenceRange, limit: number): OwnBatches {
  // Of the same turn as the walk, hence of the same snapshot: what the walk does not find any more counts as deleted.
  const deleted = readNumber(meta, META_OWN_DELETED)
  const found: StoredOwnBatch[] = []
  if (from >= before) return { found, next: before, deleted }
  for (const { key, value } of own.getRange({ start: sequenceKey(from), end: sequenceKey(before), limit })) {
    found.push({ sequence: numberOfKey(key), ...decodeOwnEntry(value) })
  }
  return { found, next: found.length === limit ? found.at(-1)!.sequence + 1n : before, deleted }
}

/** The first keys of `stamps` with a stamp of at least `stamp`, from the one after `after`. */
export function keysSince(
  { stamps }: StoreDatabases,
  stamp: bigint,
  after: Uint8Array | undefined,
  limit: number,
): Uint8Array[] {
  return take(stamps.getKeys({ start: after ?? leastKey(stamp), limit: limit + 1 }), after, limit)
}

/** The first keys of `stamps` with a stamp below `stamp`, from the one after `after`. */
export function keysBefore(
  { stamps }: StoreDatabases,
  stamp: bigint,
  after: Uint8Array | undefined,
  limit: number,
): Uint8Array[] {
  return take(stamps.getKeys({ ...(after && { start: after }), end: leastKey(stamp), limit: limit + 1 }), after, limit)
}

/** Digests of the first batches of a segment, in the order of its cells. */
export function listed({ batches }: StoreDatabases, segment: number, limit: number): Uint8Array[] {
  const range = {
    start: leastKey(placeOf({ segment, unit: 0 })),
    end: leastKey(placeOf({ segment: segment + 1, unit: 0 })),
  }
  return take(batches.getKeys({ ...range, limit }), undefined, limit).map(digestOfKey)
}

/** At most `limit` keys behind `after`, which a range includes. Copies: LMDB reuses the memory of a key. */
function take(keys: Iterable<Uint8Array>, after: Uint8Array | undefined, limit: number): Uint8Array[] {
  const taken: Uint8Array[] = []
  for (const key of keys) {
    if (after !== undefined && Buffer.compare(key, after) === 0) continue
    taken.push(new Uint8Array(key))
    if (taken.length === limit) break
  }
  return taken
}
