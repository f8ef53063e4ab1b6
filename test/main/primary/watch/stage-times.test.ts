import { describe, expect, test } from 'vitest'
import { STAGE_BATCHES_MAX, STAGE_HEADERS_MAX } from '../../../../src/main/primary/watch/limits.js'
import { StageTimes } from '../../../../src/main/primary/watch/stage-times.js'
import type { CommittedBatch } from '../../../../src/shared/memory/dialogue/primary.js'
import { batchOf } from '../../../support/threads/primary-thread.js'

const OWN = 1

function stages() {
  const seen: [string, number][] = []
  const times = new StageTimes(OWN, (stage, ms) => seen.push([stage, ms]))
  return { times, seen, drain: () => seen.splice(0) }
}
const committed = (sequence: number, round: number, more: Partial<CommittedBatch> = {}): CommittedBatch => ({
  ...{ digest: batchOf(OWN, sequence).digest, author: OWN, worker: 0, proposer: OWN, round },
  ...more,
})

describe('times of stages', () => {
  test('go from the worker to the order', () => {
    const { times, seen } = stages()
    times.told(batchOf(OWN, 1).digest, 100)
    times.proposed(5, [batchOf(OWN, 1)], 130)
    times.certified(5, 150)
    times.committed([committed(1, 5)], 210)
    expect(seen).toEqual([
      ['batch-to-header', 30],
      ['header-to-certificate', 20],
      ['certificate-to-commit', 60],
      ['header-to-commit', 80],
      ['batch-to-commit', 110],
    ])
  })

  test('of a batch that is proposed again count from its first header, and its certificate is that of the last', () => {
    const { times, drain } = stages()
    times.told(batchOf(OWN, 1).digest, 0)
    times.proposed(5, [batchOf(OWN, 1)], 10)
    expect(drain()).toEqual([['batch-to-header', 10]])
    times.proposed(6, [batchOf(OWN, 1)], 500)
    expect(drain()).toEqual([])
    times.certified(6, 520)
    drain()
    times.committed([committed(1, 6)], 600)
    expect(drain()).toEqual([
      ['certificate-to-commit', 80],
      ['header-to-commit', 590],
      ['batch-to-commit', 600],
    ])
  })

  test('a batch counts once, and those of others do not', () => {
    const { times, drain } = stages()
    times.told(batchOf(OWN, 1).digest, 0)
    times.told(batchOf(OWN, 1).digest, 50)
    times.proposed(5, [batchOf(OWN, 1)], 60)
    expect(drain()).toEqual([['batch-to-header', 60]])
    times.committed([committed(2, 5, { author: 0, proposer: 0 }), committed(1, 5)], 70)
    expect(drain()).toEqual([
      ['header-to-commit', 10],
      ['batch-to-commit', 70],
    ])
    times.committed([committed(1, 5)], 80)
    expect(drain()).toEqual([])
  })

  test('a header without batches, and the certificate of one that is not known, are not measured', () => {
    const { times, seen } = stages()
    times.proposed(5, [], 0)
    times.certified(5, 10)
    times.certified(9, 10)
    expect(seen).toEqual([])
  })

  test('a batch of an earlier run counts from its header on, and one that another authority lists has no certificate of ours', () => {
    const { times, drain } = stages()
    times.proposed(5, [batchOf(OWN, 1), batchOf(OWN, 2)], 10)
    times.certified(5, 20)
    drain()
    times.committed([committed(1, 5), committed(2, 5, { proposer: 3 })], 30)
    expect(drain()).toEqual([
      ['certificate-to-commit', 10],
      ['header-to-commit', 20],
      ['header-to-commit', 20],
    ])
  })

  test('are kept of so many batches and headers, the newest', () => {
    const { times, drain } = stages()
    for (let sequence = 0; sequence <= STAGE_BATCHES_MAX; sequence += 1) times.told(batchOf(OWN, sequence).digest, 0)
    for (let round = 1; round <= STAGE_HEADERS_MAX + 1; round += 1) times.proposed(round, [batchOf(OWN, 1)], 0)
    drain()
    times.committed([committed(0, 1)], 5)
    expect(drain()).toEqual([])
    times.certified(1, 5)
    expect(drain()).toEqual([])
    times.certified(2, 5)
    times.committed([committed(STAGE_BATCHES_MAX, 2)], 5)
    expect(drain().map(([stage]) => stage)).toEqual([
      'header-to-certificate',
      'certificate-to-commit',
      'batch-to-commit',
    ])
  })
})
