/** Which test files run alone is told by what they import. */
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { groupsOf, readGroups } from '../support/groups.js'

/** Not in one piece: this file starts nothing. */
const URL_OF_NODE = `new URL('../dist/${'node.js'}', import.meta.url)`

/** Whether a test file with this text runs alone, beside these other files. */
function isAlone(text: string, others: Record<string, string> = {}): boolean {
  const { alone, together } = groupsOf(new Map(Object.entries({ 'test/main/a.test.ts': text, ...others })))
  expect([...alone, ...together]).toEqual(['test/main/a.test.ts'])
  return alone.length === 1
}

describe('a test file runs alone', () => {
  test('if it names the executable', () => {
    expect(isAlone(`const file = ${URL_OF_NODE}`)).toBe(true)
  })

  test.each([
    '// Runs alone: it floods.',
    '/** Runs alone: it floods. */',
    '/**\n * Floods.\n *\n * Runs alone: so.\n */',
  ])('if it says so, and why: %s', (text) => {
    expect(isAlone(text)).toBe(true)
    expect(isAlone(text.replace(/: .*/s, ':'))).toBe(false)
  })

  test.each([
    ["import { a } from '../support/a.js'", 'test/support/a.ts'],
    ["import '../support/a.js'", 'test/support/a.ts'],
    ["export * from '../support/a.js'", 'test/support/a.ts'],
    ["await import('../support/a.mjs')", 'test/support/a.mjs'],
    ["import {\n  a,\n} from './a.js'", 'test/main/a.ts'],
  ])('if what it imports does: %s', (text, path) => {
    expect(isAlone(text, { [path]: URL_OF_NODE })).toBe(true)
    expect(isAlone(text, { [path]: '' })).toBe(false)
    expect(isAlone(text, { [path]: "import './b.js'", [path.replace(/a\.m?ts$|a\.mjs$/, 'b.ts')]: URL_OF_NODE })).toBe(
      true,
    )
  })

  test('and not for a file that it does not import, nor for one that imports it', () => {
    expect(isAlone("import '../support/b.js'", { 'test/support/a.ts': URL_OF_NODE, 'test/support/b.ts': '' })).toBe(
      false,
    )
    expect(isAlone('', { 'test/support/a.ts': `import '../main/a.test.js'; ${URL_OF_NODE}` })).toBe(false)
  })

  test('and files that import each other are no endless search', () => {
    const others = { 'test/support/a.ts': "import './b.js'", 'test/support/b.ts': "import './a.js'" }
    expect(isAlone("import '../support/a.js'", others)).toBe(false)
  })
})

test('committees and the command line run alone, pure parts and threads do not, and each file is in one group', () => {
  const { alone, together } = readGroups(resolve(import.meta.dirname, '../..'))
  expect(alone).toEqual(
    expect.arrayContaining([
      'test/committee/certify.test.ts',
      'test/hostile/strangers.test.ts',
      'test/main/cli/cli.test.ts',
    ]),
  )
  expect(together).toEqual(
    expect.arrayContaining(['test/shared/wire/batch.test.ts', 'test/threads/processor/processor.test.ts']),
  )
  expect(new Set([...alone, ...together]).size).toBe(alone.length + together.length)
})
