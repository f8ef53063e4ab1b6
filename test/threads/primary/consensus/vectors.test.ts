/** What an independent model in another language orders on its random DAGs (`test/vectors/consensus/make.py`). */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Consensus } from '../../../../src/threads/primary/consensus/consensus.js'
import { RULE_NAMES, type RuleName } from '../../../../src/threads/primary/consensus/rule.js'
import type { Commit } from '../../../../src/threads/primary/consensus/types.js'
import { certificate, header } from '../../../support/consensus/dags.js'

type Place = readonly [round: number, author: number]
type Event = readonly [
  kind: 'c' | 'h',
  round: number,
  author: number,
  variant: number,
  parents: readonly number[],
  commits: readonly (readonly Place[])[],
]

interface Vectors {
  readonly rule: RuleName
  readonly gcDepth: number
  readonly runs: readonly { readonly stakes: readonly number[]; readonly events: readonly Event[] }[]
}

const directory = resolve(import.meta.dirname, '../../../vectors/consensus')
const files = readdirSync(directory).filter((name) => name.endsWith('.json'))

function commitsOf(consensus: Consensus, [kind, round, author, variant, parents]: Event): readonly Commit[] {
  const given = header(round, author, parents, {}, variant)
  return kind === 'c' ? consensus.addCertificate(certificate(given)) : consensus.addHeader(given).commits
}

test('there are vectors of every rule', () => {
  const rules = files.map((file) => file.split('-')[0])
  for (const rule of RULE_NAMES) expect(rules).toContain(rule)
})

describe.each(files)('%s', (file) => {
  const { rule, gcDepth, runs } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as Vectors

  test('is what is ordered here, after each event', () => {
    let commits = 0
    for (const { stakes, events } of runs) {
      const consensus = new Consensus({ stakes, gcDepth, rule })
      for (const event of events) {
        const found = commitsOf(consensus, event).map(({ vertices }) => vertices.map((v) => [v.round, v.author]))
        expect(found).toEqual(event[5])
        commits += found.length
      }
    }
    expect(commits).toBeGreaterThan(20)
  })
})
