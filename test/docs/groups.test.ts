/** Which test files run alone is told by what they import. */
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { groupsOf, readGroups } from '../support/groups.js'

/** Not in one piece: this file starts nothing. */
const URL_OF_NODE = `new URL('../dist/${'node.js'}', import.meta.url)`

/** Whether a test file with this text runs alone, beside these other files. */
function isAlone(text: string, others: Record<string, string> = {}): boolean {
  return groupOf(text, others) === 'alone'
}

function groupOf(text: string, others: Record<string, string> = {}): string {
  const groups = groupsOf(new Map(Object.entries({ 'test/main/a.test.ts': text, ...others })))
  const found = Object.entries(groups).filter(([, files]) => files.length > 0)
  expect(found).toEqual([[expect.any(String), ['test/main/a.test.ts']]])
  return found[0]![0]
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

describe('a test file that starts nodes runs in pairs', () => {
  test('if it says so, and why, wherever the executable is named', () => {
    const says = '/**\n * Asks once.\n *\n * Runs in pairs: one node, idle.\n */\n'
    expect(groupOf(`${says}const file = ${URL_OF_NODE}`)).toBe('pairs')
    expect(groupOf(`${says}import '../support/a.js'`, { 'test/support/a.ts': URL_OF_NODE })).toBe('pairs')
    expect(groupOf(`${says.replace(/: one.*/, ':')}const file = ${URL_OF_NODE}`)).toBe('alone')
    expect(groupOf(`const file = ${URL_OF_NODE}`)).toBe('alone')
  })

  test('and not one that loads the machine, nor one that starts none', () => {
    expect(groupOf(`// Runs alone: it floods.\n// Runs in pairs: so.\n${URL_OF_NODE}`)).toBe('alone')
    expect(groupOf('// Runs in pairs: so.')).toBe('together')
  })
})

test('committees under load run alone, the command line in pairs, pure parts and threads together, and each file is in one group', () => {
  const { alone, pairs, together } = readGroups(resolve(import.meta.dirname, '../..'))
  expect(alone).toEqual(
    expect.arrayContaining([
      'test/committee/certify.test.ts',
      'test/hostile/strangers.test.ts',
      'test/main/local/local.test.ts',
    ]),
  )
  expect(pairs).toEqual(expect.arrayContaining(['test/main/cli/cli.test.ts', 'test/main/cli/node-errors.test.ts']))
  expect(together).toEqual(
    expect.arrayContaining(['test/shared/wire/batch.test.ts', 'test/threads/processor/processor.test.ts']),
  )
  const all = [...alone, ...pairs, ...together]
  expect(new Set(all).size).toBe(all.length)
})
