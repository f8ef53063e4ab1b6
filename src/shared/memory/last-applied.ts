/**
 * The index of the last commit that the application has applied, in shared memory: for whoever tells of it in other threads.
 *
 * ```
 *  0                    8
 *  ├─ index, u64 ───────┤
 *    main
 * ```
 */
export const LAST_APPLIED_BYTES = 8

/** What is there while no application runs. */
const NONE = -1n

export class LastApplied {
  readonly buffer: SharedArrayBuffer
  private readonly word: BigInt64Array

  constructor(buffer = new SharedArrayBuffer(LAST_APPLIED_BYTES), isNew = true) {
    this.buffer = buffer
    this.word = new BigInt64Array(buffer, 0, 1)
    if (isNew) this.index = undefined
  }

  /** Undefined while no application has said where it is. */
  get index(): number | undefined {
    const index = Atomics.load(this.word, 0)
    return index === NONE ? undefined : Number(index)
  }

  /** Writer. */
  set index(index: number | undefined) {
    Atomics.store(this.word, 0, index === undefined ? NONE : BigInt(index))
  }
}
