/**
 * The header of a ring, of descriptors or of bytes: its two cursors, on pairs of cache lines of their own, so that neither
 * side's writes evict the other's.
 *
 * ```
 *  0      4           128    132         256
 *  ├ head ┼ unused … ─┼ tail ┼ unused … ─┤ data
 * ```
 */
export const HEADER_BYTES = 256
export const HEAD = 0 // Int32 index; written by the consumer only
export const TAIL = 32 // Int32 index; written by the producer only
