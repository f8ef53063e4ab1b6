/**
 * Where a batch lies that is too large for LMDB: in a cell of a segment, a file of SEGMENT_BYTES.
 *
 * ```
 *  segments/7     0        4,096                                              64 MiB
 *                 ├ cell ──┼ cell ─────────────┼ … ┼ not used ────────────────┤
 *                   batch ‖ zeros up to a whole unit
 *
 *  a cell's place, u64:   1 bit: 1 ‖ segment 31 bits ‖ unit 32 bits
 * ```
 *
 * The index names a batch's place: with the first bit it is a cell, without it the key under which LMDB has the batch.
 */
import { NarvalError } from '../../errors.js'
import { PAGE_BYTES } from '../../memory/page-memory.js'
import { SEGMENT_BYTES, SEGMENT_NUMBER_MAX } from './limits.js'

/** Cells begin and end at units: the least piece that a disk takes without the page cache. */
export const UNIT_BYTES = PAGE_BYTES
export const SEGMENT_UNITS = SEGMENT_BYTES / UNIT_BYTES

export interface Cell {
  readonly segment: number
  /** Its first unit. */
  readonly unit: number
  readonly units: number
}

const IS_CELL = 1n << 63n
const SEGMENT_SHIFT = 32n
const UNIT_MASK = (1n << SEGMENT_SHIFT) - 1n

export function unitsOf(byteLength: number): number {
  return Math.ceil(byteLength / UNIT_BYTES)
}

export function placeOf({ segment, unit }: Pick<Cell, 'segment' | 'unit'>): bigint {
  return IS_CELL | (BigInt(segment) << SEGMENT_SHIFT) | BigInt(unit)
}

/**
 * The cell of a batch of so many bytes; undefined if the batch lies in LMDB.
 *
 * @throws NarvalError ERR_STORE_DAMAGED if no segment has such a cell
 */
export function cellOf(place: bigint, byteLength: number): Cell | undefined {
  if ((place & IS_CELL) === 0n) return undefined
  const segment = Number((place ^ IS_CELL) >> SEGMENT_SHIFT)
  const unit = Number(place & UNIT_MASK)
  const units = unitsOf(byteLength)
  if (units === 0 || unit + units > SEGMENT_UNITS || segment > SEGMENT_NUMBER_MAX) {
    throw new NarvalError(
      'ERR_STORE_DAMAGED',
      `an index entry names ${units} units from ${unit} on of segment ${segment}`,
    )
  }
  return { segment, unit, units }
}
