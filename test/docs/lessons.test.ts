/** The tests that docs/lessons.md names are there, by these names, and so are the files. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const text = readFileSync(join(ROOT, 'docs/lessons.md'), 'utf8')
const rows = text.split('\n').filter((line) => line.startsWith('| ') && !/^\| ?(rule|property|its name) \|/.test(line))
/** The last cell of a row: for each file the names of tests in it. */
const named = rows.flatMap((row) =>
  row
    .split(' | ')
    .at(-1)!
    .replace(/ \|$/, '')
    .split('<br>')
    .map((part) => /^`(test\/[^`]+)`: (.+)$/.exec(part) ?? [row, '', '']),
)

test('each row names a test', () => {
  expect(named.filter(([, file]) => file === '').map(([row]) => row)).toEqual([])
  expect(named.length).toBeGreaterThan(50)
})

test('each test that is named is there', () => {
  const missing = named.flatMap(([, file, names]) => {
    const source = existsSync(join(ROOT, file!)) ? readFileSync(join(ROOT, file!), 'utf8') : ''
    return names!
      .split('; ')
      .filter((name) => !source.includes(name))
      .map((name) => `${file}: ${name}`)
  })
  expect(missing).toEqual([])
})

test('each source file that is named is there', () => {
  const files = Array.from(text.matchAll(/`(src\/[\w./-]+)`/g), ([, file]) => file!)
  expect(files.length).toBeGreaterThan(30)
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
})
