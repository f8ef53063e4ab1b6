/** Runs in pairs: commands on a store, and no node. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatCommittee, localCommittee } from '../../../src/shared/config/committee-file.js'
import { decodeEvidence } from '../../../src/shared/wire/primary/evidence.js'
import { openPrimaryStore, written } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { SETTINGS } from '../../support/threads/commit-pattern.mjs'

const NODE_FILE = new URL('../../../dist/node.js', import.meta.url).pathname
const VECTORS = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../vectors/evidence.json'), 'utf8')) as {
  names: string[]
  committee_digest: string
  evidence: { name: string; record: string; convicted: number[] | null }[]
}
const recordOf = (name: string): Uint8Array =>
  new Uint8Array(Buffer.from(VECTORS.evidence.find((vector) => vector.name === name)!.record, 'hex'))

function narval(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NODE_FILE, 'evidence', ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

function expectError(result: ReturnType<typeof narval>, status: number, text: RegExp): void {
  expect(result.stderr).toMatch(/^narval: ERR_[A-Z_]+: [^\n]+\n$/)
  expect(result.stderr).toMatch(text)
  expect([result.status, result.stdout]).toEqual([status, ''])
}

/** A store with this evidence, and the files of its committee and of another one. */
async function storeWith(...names: string[]) {
  const directory = temporaryDirectory()
  const [committee, other] = ['committee.json', 'other.json'].map((name) => join(temporaryDirectory(), name))
  writeFileSync(committee!, formatCommittee(localCommittee(VECTORS.names, 1, 4_000)))
  writeFileSync(other!, formatCommittee(localCommittee(VECTORS.names.slice(1), 1, 4_000)))
  const settings = { ...SETTINGS, authorities: 4, committeeDigest: VECTORS.committee_digest }
  const store = await openPrimaryStore(directory, { settings })
  for (const name of names) await written(store, { type: 'evidence', evidence: decodeEvidence(recordOf(name), 4) })
  return { directory, committee: committee!, other: other!, store }
}

describe('evidence', () => {
  it('is printed beside a node that has the store open, verified, exported, and verified by who has the file alone', async () => {
    const { committee, directory, other, store } = await storeWith(
      'two headers',
      'two certificates',
      'our key, and our own vote',
    )
    const plain = narval('--store', directory)
    expect([plain.status, plain.stderr]).toEqual([0, ''])
    expect(plain.stdout.match(/not verified: give --committee/g)).toHaveLength(3)
    expect(plain.stdout).toMatch(/^headers {7}authority 1 has signed two headers of round 5\n/)
    expect(plain.stdout).toMatch(/\n3 pieces\n$/)
    const out = join(temporaryDirectory(), 'evidence.jsonl')
    const verified = narval('--store', directory, '--committee', committee, '--out', out)
    expect([verified.status, verified.stderr]).toEqual([0, ''])
    expect(verified.stdout).toContain(`verified: signed twice by ${VECTORS.names[1]}\n`)
    await store.close()
    const elsewhere = narval('--file', out, '--committee', committee, '--json')
    expect(elsewhere).toEqual({ status: 0, stdout: readFileSync(out, 'utf8'), stderr: '' })
    const lines = elsewhere.stdout.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { kind: 'headers', accused: 1, authority: VECTORS.names[1], epoch: 0, round: 5, valid: true, convicted: [1] },
      { kind: 'certificates', accused: 1, convicted: [0, 1, 2], valid: true },
      { kind: 'own-key', accused: 3, convicted: [3], valid: true },
    ])
    expectError(narval('--store', directory, '--out', out), 1, /ERR_FILE_EXISTS/)
    expectError(narval('--store', directory, '--committee', other), 1, /another committee/)
    expectError(narval('--file', out, '--committee', other), 1, /another committee/)
  })

  it('that is not valid is said so, with exit code 1, and a store without any has none', async () => {
    const { committee, directory, store } = await storeWith('a header that another has signed')
    await store.close()
    const { status, stderr, stdout } = narval('--store', directory, '--committee', committee)
    expect([status, stderr]).toEqual([1, ''])
    expect(stdout).toMatch(/NOT VALID: the signature of a header of authority 1 is not valid\n1 piece, 1 not valid\n$/)
    const none = await storeWith()
    await none.store.close()
    expect(narval('--store', none.directory, '--committee', committee).stdout).toBe('no evidence\n')
  })

  it('refuses what it cannot read in one line', async () => {
    const { committee, directory, store } = await storeWith()
    await store.close()
    const file = join(temporaryDirectory(), 'file')
    expectError(narval(), 2, /either --store or --file/)
    expectError(narval('--store', directory, '--file', file), 2, /either --store or --file/)
    expectError(narval('--file', file), 2, /--committee/)
    expectError(narval('--file', file, '--committee', committee), 1, /ERR_FILE_MISSING/)
    for (const text of ['{', '[]', '{"record":7}', '{"record":"AQI="}', `{"record":"${'A'.repeat(100)}"}`]) {
      writeFileSync(file, `\n${text}\n`)
      expectError(
        narval('--file', file, '--committee', committee),
        1,
        /ERR_FILE_MALFORMED: line 2 of .* is no evidence/,
      )
    }
    expectError(narval('--store', join(directory, 'none')), 1, /ERR_FILE_MISSING/)
  })
})
