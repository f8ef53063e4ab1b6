/** Lines in the log of a primary: who is missing, what is wrong, and that nobody can fill the log. */
import { describe, expect, test } from 'vitest'
import { MISSING_MS, PROBLEM_LOG_BURST, PROBLEM_LOG_MS } from '../../../../src/main/primary/watch/limits.js'
import { MissingAuthorities } from '../../../../src/main/primary/watch/missing-authorities.js'
import { ProblemLog } from '../../../../src/main/primary/watch/problem-log.js'

describe('an authority', () => {
  test('is missing when rounds go on and none of its certificates comes, and back with the next', () => {
    const missing = new MissingAuthorities(2, 0)
    for (let at = 0; at < MISSING_MS; at += 500) {
      missing.certified(0, at / 500 + 1, at)
      missing.certified(1, at / 500 + 1, at)
      expect(missing.look(at / 500 + 1, at)).toEqual([])
    }
    const last = MISSING_MS / 500
    for (let at = MISSING_MS; at < 2 * MISSING_MS - 500; at += 500) {
      missing.certified(0, at / 500 + 1, at)
      expect(missing.look(at / 500 + 1, at)).toEqual([])
    }
    missing.certified(0, 40, 2 * MISSING_MS)
    const change = { authority: 1, isMissing: true, round: last, forMs: MISSING_MS + 500 }
    expect(missing.look(40, 2 * MISSING_MS)).toEqual([change])
    expect(missing.look(41, 3 * MISSING_MS)).toEqual([])
    expect(missing.certified(1, last, 30_000)).toBeUndefined()
    expect(missing.certified(1, 38, 30_000)).toMatchObject({ authority: 1, isMissing: false, round: 38 })
    expect(missing.certified(1, 39, 30_500)).toBeUndefined()
  })

  test('is not missing while no round goes on: then nobody can tell', () => {
    const missing = new MissingAuthorities(2, 0)
    missing.certified(0, 7, 0)
    expect(missing.look(7, 60_000)).toEqual([])
  })

  test('of which a store that was just opened has certificates is given its time', () => {
    const missing = new MissingAuthorities(2, 0)
    expect(missing.look(0, 100)).toEqual([])
    expect(missing.look(5000, 200)).toEqual([])
    expect(missing.look(5002, MISSING_MS)).toEqual([])
    expect(missing.look(5003, MISSING_MS)).toMatchObject([
      { authority: 0, round: 5000 },
      { authority: 1, round: 5000 },
    ])
  })
})

describe('a problem', () => {
  const lines: string[] = []
  const log = { info: (text: string) => lines.push(`info ${text}`), warn: (text: string) => lines.push(`warn ${text}`) }
  const stalled = [{ kind: 'stalled', text: 'round 5 has no quorum' }] as const

  test('is said when it begins and when it is over, and between them nothing', () => {
    lines.length = 0
    const problems = new ProblemLog(log)
    for (let at = 0; at < 12_000; at += 250) problems.look(stalled, at)
    problems.look([], 12_000)
    problems.look([], 13_000)
    expect(lines).toEqual(['warn Round 5 has no quorum', 'info Rounds have a quorum again, after 12 s'])
  })

  test('that comes and goes all the time is said a few times and then once in a minute, with its end', () => {
    lines.length = 0
    const problems = new ProblemLog(log)
    for (let at = 0; at < 3 * PROBLEM_LOG_MS; at += 250) problems.look(at % 500 === 0 ? stalled : [], at)
    expect(lines).toHaveLength(2 * (PROBLEM_LOG_BURST + 2))
  })

  test('of another kind does not wait for it', () => {
    lines.length = 0
    const problems = new ProblemLog(log)
    problems.look(stalled, 0)
    problems.look([{ kind: 'slow-flush', text: 'a flush' }], 1000)
    expect(lines).toEqual(['warn Round 5 has no quorum', 'warn A flush', 'info Rounds have a quorum again, after 1 s'])
  })

  test('that is said elsewhere is not said again', () => {
    lines.length = 0
    new ProblemLog(log).look(
      [
        { kind: 'peers-away', text: 'stake 1' },
        { kind: 'recovering', text: 'it' },
      ],
      0,
    )
    expect(lines).toEqual([])
  })
})
