import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  PEER_WORK_BURST,
  PEER_WORK_PER_SECOND,
  STRANGER_BYTES_MAX,
  STRANGER_WORK_MAX,
  WORK_FREE_BYTES,
  WORK_OF_PING,
  WORK_OF_STREAM,
  WORK_UNWANTED_BYTES,
} from '../../../src/main/network/limits.js'
import { peerBucket, WorkBudget, workOfFrame, workOfPiece } from '../../../src/main/network/work-budget.js'
import { SLICE_BYTES } from '../../../src/shared/constants.js'

const at = (ms: number) => (): number => ms

describe('the work of', () => {
  test('a piece is one unit if it carries nothing, and less the more it carries', () => {
    expect(workOfPiece(0)).toBe(1)
    expect(workOfPiece(WORK_FREE_BYTES / 2)).toBe(0.5)
    expect(workOfPiece(WORK_FREE_BYTES)).toBe(0)
    expect(workOfPiece(SLICE_BYTES)).toBe(0)
  })

  test.each([
    ['a slice of a batch', { type: 0, flag: 0, streamID: 1, length: SLICE_BYTES }, true, 0],
    ['an empty data frame', { type: 0, flag: 0, streamID: 1, length: 0 }, true, 1],
    [
      'a data frame for no stream, by its bytes',
      { type: 0, flag: 0, streamID: 9, length: 10 * WORK_UNWANTED_BYTES },
      false,
      11,
    ],
    ['a data frame that opens a stream', { type: 0, flag: 1, streamID: 9, length: SLICE_BYTES }, false, WORK_OF_STREAM],
    ['a window update', { type: 1, flag: 0, streamID: 1, length: 2 ** 31 }, true, 1],
    ['a window update that opens a stream', { type: 1, flag: 1, streamID: 9, length: 0 }, false, WORK_OF_STREAM],
    ['the same with other flags', { type: 1, flag: 0xffff, streamID: 9, length: 0 }, false, WORK_OF_STREAM],
    ['a reset', { type: 1, flag: 8, streamID: 1, length: 0 }, true, 1],
    ['a ping', { type: 2, flag: 1, streamID: 0, length: 1 }, false, WORK_OF_PING],
    ['a go-away', { type: 3, flag: 0, streamID: 0, length: 0 }, false, 1],
    ['a frame of a type that there is not', { type: 77, flag: 0, streamID: 0, length: 0 }, false, 1],
  ])('%s', (_what, header, isWanted, work) => {
    expect(workOfFrame(header, isWanted)).toBe(work)
  })
})

describe('before the hello', () => {
  test('there is one sum of work, whatever time passes', () => {
    const budget = new WorkBudget()
    for (let i = 0; i < STRANGER_WORK_MAX; i += 1) expect(budget.spend(1, at(i * 1e6))).toBe(0)
    expect(budget.spend(1, at(1e12))).toBe(Number.POSITIVE_INFINITY)
  })

  test('there is one sum of bytes, in reads that are free as in others', () => {
    const budget = new WorkBudget()
    expect(budget.receive(STRANGER_BYTES_MAX, at(0))).toBe(0)
    expect(budget.receive(1, at(1e9))).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('after the hello', () => {
  test('slices of batches cost nothing at any rate', () => {
    const budget = new WorkBudget()
    budget.verified(peerBucket())
    let waitMs = 0
    for (let i = 0; i < 100_000; i += 1) {
      waitMs += budget.receive(65_536, at(0)) + budget.spend(workOfPiece(65_519), at(0))
    }
    expect(waitMs).toBe(0)
  })

  test('no more is done than the burst and the rate, in whatever pieces it is asked for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ work: fc.integer({ min: 1, max: 64 }), afterMs: fc.nat(20) }), { maxLength: 2000 }),
        (asked) => {
          const budget = new WorkBudget()
          budget.verified(peerBucket())
          let nowMs = 0
          let done = 0
          for (const { work, afterMs } of asked) {
            nowMs += afterMs
            done += work
            nowMs += budget.spend(work, at(nowMs))
            expect(done).toBeLessThanOrEqual(PEER_WORK_BURST + (nowMs / 1000) * PEER_WORK_PER_SECOND + 1e-6)
          }
        },
      ),
      { numRuns: 20 },
    )
  })

  test('connections of one authority share its rate', () => {
    const bucket = peerBucket()
    const [one, other] = [new WorkBudget(), new WorkBudget()]
    one.verified(bucket)
    other.verified(bucket)
    expect(one.spend(PEER_WORK_BURST, at(0))).toBe(0)
    expect(other.spend(PEER_WORK_PER_SECOND, at(0))).toBe(1000)
  })
})
