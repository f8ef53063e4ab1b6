import { describe, expect, it } from 'vitest'
import { EarlySeals } from '../../../src/threads/batch-maker/early-seals.js'
import {
  EARLY_SEAL_BYTES_MIN,
  QUICK_CERTIFICATION_MS,
  SMALL_EARLY_SEALS_BURST,
  SMALL_EARLY_SEALS_PER_S,
} from '../../../src/threads/batch-maker/limits.js'

/** Seals and certifies by a clock that the test sets. */
function seals() {
  let nowMs = 1_000
  let sequence = 0n
  const early = new EarlySeals({ nowMs: () => nowMs })
  early.onAllCertified(0n)
  return {
    early,
    pass: (ms: number): void => {
      nowMs += ms
    },
    /** One that a quorum certifies after so long. */
    certified: (afterMs: number): void => {
      sequence += 1n
      early.onSealed(sequence)
      nowMs += afterMs
      early.onAllCertified(sequence)
    },
    useUp: (): void => {
      while (early.take(1));
    },
  }
}

describe('early seals', () => {
  it('of small batches are a burst, and then so many a second', () => {
    const { early, pass, certified } = seals()
    certified(1)
    let taken = 0
    while (early.take(EARLY_SEAL_BYTES_MIN - 1)) taken += 1
    expect(taken).toBe(SMALL_EARLY_SEALS_BURST)
    pass(1_000)
    while (early.take(1)) taken += 1
    expect(taken).toBe(SMALL_EARLY_SEALS_BURST + SMALL_EARLY_SEALS_PER_S)
  })

  it('of large ones are as many as there are while the quorum is quick, and count as small ones while it is not', () => {
    const { early, certified, pass, useUp } = seals()
    certified(QUICK_CERTIFICATION_MS)
    useUp()
    for (let n = 0; n < 100; n += 1) {
      expect(early.take(EARLY_SEAL_BYTES_MIN)).toBe(true)
      certified(0)
    }
    certified(QUICK_CERTIFICATION_MS + 1)
    useUp()
    expect(early.take(EARLY_SEAL_BYTES_MIN)).toBe(false)
    pass(1_000 / SMALL_EARLY_SEALS_PER_S)
    expect([early.take(EARLY_SEAL_BYTES_MIN), early.take(EARLY_SEAL_BYTES_MIN)]).toEqual([true, false])
    certified(1)
    useUp()
    expect(early.take(EARLY_SEAL_BYTES_MIN)).toBe(true)
  })

  it('are none while one is on its way, or before it is known that there is none', () => {
    const unknown = new EarlySeals({ nowMs: () => 1 })
    expect(unknown.take(EARLY_SEAL_BYTES_MIN)).toBe(false)
    const { early, certified } = seals()
    certified(1)
    early.onSealed(2n)
    expect([early.take(1), early.take(EARLY_SEAL_BYTES_MIN)]).toEqual([false, false])
    early.onAllCertified(1n)
    expect(early.take(EARLY_SEAL_BYTES_MIN)).toBe(false)
    early.onAllCertified(2n)
    expect(early.take(EARLY_SEAL_BYTES_MIN)).toBe(true)
  })
})
