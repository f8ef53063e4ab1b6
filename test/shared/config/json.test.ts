import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readJsonFile } from '../../../src/shared/config/config-file.js'
import { findJsonProblem } from '../../../src/shared/config/json-problem.js'
import { CONFIG_FILE_BYTES_MAX } from '../../../src/shared/config/limits.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

test.each([
  ['', 1, 1, 'the text ends where a value is expected'],
  ['{', 1, 2, 'the text ends where a key in double quotes is expected'],
  ['{"a":1,}', 1, 8, 'a key in double quotes is expected'],
  ['{"a" 1}', 1, 6, "':' is expected"],
  ['{"a":1 "b":2}', 1, 8, "',' or '}' is expected"],
  ['{\n  "a": [1,\n  2 3]}', 3, 5, "',' or ']' is expected"],
  ["{'a':1}", 1, 2, 'a key in double quotes is expected'],
  ['[01]', 1, 3, "',' or ']' is expected"],
  ['{"a": nul}', 1, 7, 'a value is expected'],
  ['{} x', 1, 4, 'text after the end of the value'],
  ['"a\nb"', 1, 1, 'a value is expected'],
  ['{"a":1,"b":2,"\\u0061":3}', 1, 14, 'the key "\\u0061" is given twice'],
  ['{"__proto__":1}', 1, 2, 'the key "__proto__" is not allowed'],
  ['['.repeat(1000), 1, 34, 'nested more than 32 deep'],
  ['\ufeff{}', 1, 1, 'a value is expected'],
])('%j is not JSON at line %i, column %i', (text, line, column, problem) => {
  expect(findJsonProblem(text)).toEqual({ line, column, problem })
})

test('JSON, however it is written, has no problem', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5, noUnicodeString: false }), fc.constantFrom(0, 2, '\t'), (json, indent) => {
      fc.pre(!json.includes('__proto__'))
      expect(findJsonProblem(JSON.stringify(JSON.parse(json), null, indent))).toBeUndefined()
    }),
  )
})

test('what JSON.parse refuses has a problem', () => {
  const base = '{"a": [1, -2.5e3, "x\\n\\u00e9", true, null], "b": {"c": ""}}'
  const change = fc.tuple(
    fc.nat(base.length - 1),
    fc.constantFrom('', '"', '\\', ',', '}', ']', '0', '-', '\t', '\n', 'é'),
  )
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let text = base
      for (const [at, by] of changes) text = text.slice(0, at) + by + text.slice(at + 1)
      let valid = true
      try {
        JSON.parse(text)
      } catch {
        valid = false
      }
      const problem = findJsonProblem(text)?.problem
      if (problem === undefined || !problem.endsWith('given twice')) expect(problem === undefined).toBe(valid)
    }),
    { numRuns: 500 },
  )
})

test('a file that is too large, or not UTF-8, is ERR_FILE_MALFORMED', () => {
  const path = join(temporaryDirectory(), 'x.json')
  const malformed = (about: string) =>
    expect.objectContaining({ code: 'ERR_FILE_MALFORMED', message: expect.stringContaining(about) })
  writeFileSync(path, Buffer.alloc(CONFIG_FILE_BYTES_MAX + 1, ' '))
  expect(() => readJsonFile(path, 'file', '')).toThrow(malformed(`${CONFIG_FILE_BYTES_MAX + 1} bytes, at most`))
  writeFileSync(path, Buffer.from('22ff22', 'hex'))
  expect(() => readJsonFile(path, 'file', '')).toThrow(malformed('not UTF-8'))
})
