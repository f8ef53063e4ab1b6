/**
 * A message that shows any damage: a number, and fourteen words that follow from it, over the whole descriptor. Half a
 * message, or one of another lap of the ring, does not add up.
 */
const WORDS = 16

/** The word at `index` of message `n`; every one differs from that of other messages. */
function wordOf(n, index) {
  return Math.imul(n ^ (index * 0x9e3779b9), 0x85ebca6b) | 0
}

export const countedCodec = {
  write(view, at, n) {
    for (let index = 0; index < WORDS; index += 1) view.setInt32(at + 4 * index, wordOf(n, index), true)
    view.setInt32(at, n, true)
  },
  /** The number; NaN if the message is not whole. */
  read(view, at) {
    const n = view.getInt32(at, true)
    for (let index = 1; index < WORDS; index += 1) {
      if (view.getInt32(at + 4 * index, true) !== wordOf(n, index)) return Number.NaN
    }
    return n
  },
}
