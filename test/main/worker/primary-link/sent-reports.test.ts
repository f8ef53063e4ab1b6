import { expect, test } from 'vitest'
import { PRIMARY_RESEND_MAX, PRIMARY_RESEND_MS } from '../../../../src/main/worker/primary-link/limits.js'
import type { QueuedReport } from '../../../../src/main/worker/primary-link/report-queue.js'
import { SentReports } from '../../../../src/main/worker/primary-link/sent-reports.js'

const FRAME = 44
const reports = (from: number, to: number): QueuedReport[] =>
  Array.from({ length: to - from }, (_, index) => ({
    type: 'OurBatch',
    digest: new Uint8Array(32),
    author: 0,
    sequence: 0n,
    number: from + index,
  }))
const numbers = (found: readonly QueuedReport[]): number[] => found.map(({ number }) => number)

test('a report is acknowledged with its last byte, and only once', () => {
  const sent = new SentReports()
  sent.add(reports(0, 3), FRAME, 0)
  expect(numbers(sent.acknowledge(FRAME - 1, 0))).toEqual([])
  expect(numbers(sent.acknowledge(2 * FRAME, 0))).toEqual([0, 1])
  expect(numbers(sent.acknowledge(2 * FRAME, 0))).toEqual([])
  expect(sent.unacknowledgedCount).toBe(1)
  // Less than before: a look that came late.
  expect(numbers(sent.acknowledge(0, 0))).toEqual([])
  sent.add(reports(3, 4), FRAME, 0)
  expect(sent.bytesTaken).toBe(4 * FRAME)
  expect(numbers(sent.acknowledge(4 * FRAME, 0))).toEqual([2, 3])
})

test('when the connection is lost all comes back that is not acknowledged, and what was so lately, in order', () => {
  const sent = new SentReports()
  sent.add(reports(0, 6), FRAME, 0)
  sent.acknowledge(FRAME, 0)
  sent.acknowledge(3 * FRAME, 10)
  const back = sent.takeAll(PRIMARY_RESEND_MS + 1)
  expect(numbers(back)).toEqual([1, 2, 3, 4, 5])
  expect(back.map(({ delivered }) => delivered ?? false)).toEqual([true, true, false, false, false])
  expect(sent.takeAll(0)).toEqual([])
  // The next connection counts its bytes from 0.
  sent.add(reports(6, 8), FRAME, 0)
  expect(numbers(sent.acknowledge(FRAME, 0))).toEqual([6])
})

test('what is not acknowledged is never forgotten, what is, is bounded in number', () => {
  const sent = new SentReports()
  sent.add(reports(0, PRIMARY_RESEND_MAX + 5), FRAME, 0)
  expect(sent.unacknowledgedCount).toBe(PRIMARY_RESEND_MAX + 5)
  sent.acknowledge((PRIMARY_RESEND_MAX + 3) * FRAME, 0)
  const back = numbers(sent.takeAll(0))
  expect(back[0]).toBe(3)
  expect(back).toHaveLength(PRIMARY_RESEND_MAX + 2)
})

test('without word of the kernel age acknowledges, or number', () => {
  const sent = new SentReports()
  sent.add(reports(0, 1), FRAME, 0)
  sent.add(reports(1, 2), FRAME, 1)
  expect(numbers(sent.acknowledgeOld(PRIMARY_RESEND_MS - 1))).toEqual([])
  expect(numbers(sent.acknowledgeOld(PRIMARY_RESEND_MS))).toEqual([0])
  sent.add(reports(2, PRIMARY_RESEND_MAX + 3), FRAME, PRIMARY_RESEND_MS)
  expect(numbers(sent.acknowledgeOld(PRIMARY_RESEND_MS))).toEqual([1, 2])
})
