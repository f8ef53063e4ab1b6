/**
 * A checkpoint interval as it is sent: its records, and the proof that they stand in their places under the root of the
 * mountain range that a checkpoint has. Who has the committee file needs nothing else to believe them. Pure.
 *
 * ```
 *  ├ n u32 ┼ n nodes, 32 each ─┼ for each of CHECKPOINT_INTERVAL records: length u32 ‖ the record ┤
 * ```
 *
 * An interval is a whole subtree of the range. The nodes are those above it: the way from its top to the root.
 */
import { DIGEST_BYTES } from '../../../shared/constants.js'
import type { NarvalError } from '../../../shared/errors.js'
import { commitDigest } from '../../../shared/wire/primary/commit-digest.js'
import { CHECKPOINT_INTERVAL, RANGE_LEVELS_MAX } from '../../../shared/wire/primary/limits.js'
import {
  append,
  EMPTY_RANGE,
  type NodePlace,
  prove,
  verifyInclusion,
} from '../../../shared/wire/primary/mountain-range.js'
import { malformed } from '../../../shared/wire/primary/record.js'
import { sha256 } from '../../../shared/wire/primary/sha256.js'

/** Height of the top of an interval. */
const INTERVAL_HEIGHT = Math.log2(CHECKPOINT_INTERVAL)
const LENGTH_BYTES = 4

export interface IntervalRecord {
  readonly digest: Uint8Array
  readonly bytes: Uint8Array
}

/** What the records are to be proven under. */
export interface Root {
  /** Records in the range: a multiple of CHECKPOINT_INTERVAL. */
  readonly count: number
  readonly root: Uint8Array
}

/**
 * @param first index of the first record
 * @param count records in the range
 * @param nodeAt reads a node of the range
 */
export function encodeInterval(
  records: readonly Uint8Array[],
  { count, first, nodeAt }: { first: number; count: number; nodeAt: (place: NodePlace) => Uint8Array },
): Uint8Array {
  const nodes = prove(sha256, first + CHECKPOINT_INTERVAL - 1, count, nodeAt).slice(INTERVAL_HEIGHT)
  const length = LENGTH_BYTES + nodes.length * DIGEST_BYTES
  const bytes = Buffer.alloc(records.reduce((sum, record) => sum + LENGTH_BYTES + record.length, length))
  bytes.writeUInt32LE(nodes.length)
  for (const [at, node] of nodes.entries()) bytes.set(node, LENGTH_BYTES + at * DIGEST_BYTES)
  let at = length
  for (const record of records) {
    bytes.writeUInt32LE(record.length, at)
    bytes.set(record, at + LENGTH_BYTES)
    at += LENGTH_BYTES + record.length
  }
  return bytes
}

/**
 * The records of an interval, in order; undefined if they are not those under this root.
 *
 * @throws NarvalError ERR_CODEC
 */
export function verifyInterval(
  bytes: Uint8Array,
  { committeeDigest, first, under }: { committeeDigest: Uint8Array; first: number; under: Root },
): IntervalRecord[] | undefined {
  const { nodes, records } = decodeInterval(bytes)
  const found = records.map((record) => ({ bytes: record, digest: commitDigest(committeeDigest, [record]) }))
  const last = first + CHECKPOINT_INTERVAL - 1
  const proof = [...siblingsOfLast(found), ...nodes]
  const { count, root } = under
  const isThere = verifyInclusion(sha256, { record: last, digest: found.at(-1)!.digest, count, root, proof })
  return isThere ? found : undefined
}

function decodeInterval(bytes: Uint8Array): { nodes: Uint8Array[]; records: Uint8Array[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw damaged(`${bytes.length} bytes end within a part of ${length}`)
    at += length
    return bytes.subarray(at - length, at)
  }
  const takeLength = (): number => {
    take(LENGTH_BYTES)
    return view.getUint32(at - LENGTH_BYTES, true)
  }
  const nodeCount = takeLength()
  if (nodeCount > RANGE_LEVELS_MAX) throw damaged(`a proof of ${nodeCount} nodes`)
  const nodes = Array.from({ length: nodeCount }, () => take(DIGEST_BYTES))
  const records = Array.from({ length: CHECKPOINT_INTERVAL }, () => take(takeLength()))
  if (at !== bytes.length) throw damaged(`${bytes.length - at} bytes behind its records`)
  return { nodes, records }
}

/** Within the interval: the nodes beside the way from its last record to its top, from below. */
function siblingsOfLast(records: readonly IntervalRecord[]): Uint8Array[] {
  let range = EMPTY_RANGE
  const completed: (readonly Uint8Array[])[] = []
  for (const { digest } of records) {
    const next = append(sha256, range, digest)
    range = next.range
    completed.push(next.nodes)
  }
  return prove(
    sha256,
    CHECKPOINT_INTERVAL,
    CHECKPOINT_INTERVAL,
    ({ height, record }) => completed[record - 1]![height]!,
  )
}

function damaged(problem: string): NarvalError {
  return malformed('history-piece', problem)
}
