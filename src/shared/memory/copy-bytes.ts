/**
 * Copies to and from shared memory. There `TypedArray.set` goes word by word, because another thread may be looking, and
 * byte by byte where source and target are not aligned alike: 0.22 ns per byte against 0.02. No other thread looks at
 * what is copied here, and `fill` with bytes is a plain memcpy. docs/performance.md has the figures.
 */

/** For fewer bytes `set` is faster: what `fill` does before it copies costs more than it saves. */
const SMALL_BYTES = 1024

const { fill } = Buffer.prototype

/** Copies all of `source` to `target`, from `at` on. Errors: `RangeError` if it does not fit. */
export function copyBytes(source: Uint8Array, target: Uint8Array, at: number): void {
  if (source.length < SMALL_BYTES) target.set(source, at)
  else fill.call(target, source, at, at + source.length)
}
