/**
 * What a stored batch takes of the store's files, in bytes. The one place that knows: shares, limits and metrics count
 * with it. How batches lie is drawn in format.ts; a test compares this with the growth of real files.
 *
 * A B-tree page that is filled in the order of digests is not full: LMDB splits it in two when it is. What lies in a page
 * is counted with the share of the page that it has on average.
 */

import { UNIT_BYTES, unitsOf } from './segments/cell.js'
import { SEGMENT_BATCH_BYTES_MIN } from './segments/limits.js'

/** Bytes of LMDB's page. */
const PAGE_BYTES = 4096
/** Header of a page, of lmdb-js's LMDB. */
const PAGE_HEADER_BYTES = 24
/** Of an entry in a leaf: its header, its place in the page's table, and the key of a batch. */
const BATCH_ENTRY_BYTES = 8 + 2 + 40
/** The longest batch that lies in a leaf; a longer one has pages of its own. */
const IN_LEAF_BYTES_MAX = 1986
/** Of the entries that fit a leaf, the share that is there on average; of two that fit, more (measured). */
const LEAF_FILL = 0.655
const LEAF_FILL_OF_TWO = 0.735
/** The entries of `index` and `stamps`: 94 and 50 bytes in leaves that are two thirds full, and the branches above them. */
const INDEX_ENTRY_BYTES = 220
/** The entry in `batches` of a batch that lies in a segment: keys rise, so its leaves are full. */
const LISTING_BYTES = 52
/** The entry of a batch that has pages of its own in LMDB's file, likewise. */
const REFERENCE_BYTES = 113

export function storedBytes(byteLength: number): number {
  if (byteLength >= SEGMENT_BATCH_BYTES_MIN) return unitsOf(byteLength) * UNIT_BYTES + LISTING_BYTES + INDEX_ENTRY_BYTES
  if (byteLength > IN_LEAF_BYTES_MAX) {
    return Math.ceil((byteLength + PAGE_HEADER_BYTES) / PAGE_BYTES) * PAGE_BYTES + REFERENCE_BYTES + INDEX_ENTRY_BYTES
  }
  const perLeaf = Math.floor((PAGE_BYTES - PAGE_HEADER_BYTES) / (BATCH_ENTRY_BYTES + byteLength))
  const entries = perLeaf * (perLeaf === 2 ? LEAF_FILL_OF_TWO : LEAF_FILL)
  return Math.ceil(PAGE_BYTES / entries) + INDEX_ENTRY_BYTES
}
