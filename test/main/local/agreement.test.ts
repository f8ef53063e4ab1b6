import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Agreement, describeDifference, type ReadCommit } from '../../../src/main/local/agreement.js'
import { LOCAL_COMMITS_APART_MAX } from '../../../src/main/local/limits.js'
import { MeasuredWindow } from '../../../src/main/local/measured-window.js'

function commit(index: number, changed: Partial<ReadCommit> = {}): ReadCommit {
  return { index, digest: `digest-${index}`, batches: 1, bytes: index, checksum: '00000000', ...changed }
}

/** Hands in the logs, each in its order, mixed as the numbers say. */
function readAll(logs: readonly (readonly ReadCommit[])[], mix: readonly number[] = []): Agreement {
  const agreement = new Agreement(logs.length)
  const left = logs.map((log) => [...log])
  for (let step = 0; left.some((log) => log.length > 0); step += 1) {
    const waiting = left.flatMap((log, authority) => (log.length > 0 ? [authority] : []))
    const authority = waiting[(mix[step] ?? step) % waiting.length]!
    agreement.read(authority, left[authority]!.shift()!, step)
  }
  return agreement
}

const log = (length: number): ReadCommit[] => Array.from({ length }, (_, index) => commit(index + 1))

describe('agreement', () => {
  it('equal logs agree however they come, as far as the shortest goes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 2, maxLength: 5 }), fc.array(fc.nat(100)), (lengths, mix) => {
        const agreement = readAll(lengths.map(log), mix)
        const count = Math.min(...lengths)
        expect(agreement.agree).toBe(true)
        expect(agreement.count).toBe(count)
        expect(agreement.digest).toBe(count === 0 ? undefined : `digest-${count}`)
        expect(agreement.commonBytes).toBe((count * (count + 1)) / 2)
        expect(lengths.map((_, authority) => agreement.lastOf(authority))).toEqual(lengths)
      }),
    )
  })

  it('logs that differ in one record of one authority do not, whatever differs and whoever is heard first', () => {
    const changes: Partial<ReadCommit>[] = [
      { digest: 'another' },
      { batches: 2 },
      { bytes: 1_000_000 },
      // The record is the same, and the bytes of a batch are not.
      { checksum: '00000001' },
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...changes),
        fc.nat(2),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.nat(100)),
        (change, liar, index, mix) => {
          const logs = [log(5), log(5), log(5)]
          logs[liar]![index - 1] = commit(index, change)
          const { agree, difference } = readAll(logs, mix)
          expect(agree).toBe(false)
          expect(difference!.index).toBe(index)
          expect(difference!.authorities).toContain(liar)
        },
      ),
    )
  })

  it('a log that leaves a commit out, has one twice or goes back does not agree', () => {
    for (const indices of [
      [1, 3],
      [1, 1],
      [2, 1],
      [1, 2, 3, 2],
    ]) {
      const agreement = readAll([log(3), indices.map((index) => commit(index))])
      expect(agreement.agree, String(indices)).toBe(false)
      expect(describeDifference(agreement.difference!)).toMatch(
        /^authority 1 was to give commit \d, and gave commit \d$/,
      )
    }
  })

  it('says which commit of whom is what', () => {
    const { difference } = readAll([[commit(1)], [commit(1, { digest: 'other' })]])
    expect(describeDifference(difference!)).toBe(
      'commit 1 is digest-1, 1 batches of 1 B, checksum 00000000 at authority 0, and other, 1 batches of 1 B, checksum 00000000 at authority 1',
    )
  })

  it('the time that counts is when the last one has read the last commit that has transactions', () => {
    const measured = new MeasuredWindow(0.02)
    measured.start(0)
    const agreement = new Agreement(2, measured)
    agreement.read(0, commit(1), 10)
    agreement.read(1, commit(1), 30)
    agreement.read(0, commit(2, { bytes: 0 }), 40)
    agreement.read(1, commit(2, { bytes: 0 }), 50)
    expect([agreement.count, agreement.lastCommonMs]).toEqual([2, 30])
    agreement.read(0, commit(3, { bytes: 5 }), 10)
    agreement.read(1, commit(3, { bytes: 5 }), 19)
    // Read by all within the warm-up of 20 ms.
    expect(agreement.commonBytes - agreement.measuredBytes).toBe(5)
  })

  it('one alone agrees with itself', () => {
    expect(readAll([log(3)])).toMatchObject({ agree: true, count: 3 })
  })

  it('an authority that reads nothing takes no more memory than what can be compared', () => {
    const agreement = new Agreement(2)
    for (let index = 1; index <= LOCAL_COMMITS_APART_MAX; index += 1) agreement.read(1, commit(index), 0)
    expect(() => agreement.read(1, commit(LOCAL_COMMITS_APART_MAX + 1), 0)).toThrow(
      expect.objectContaining({ code: 'ERR_LOGS_APART', message: expect.stringMatching(/^authority 0 .* commit 0,/) }),
    )
  })
})
