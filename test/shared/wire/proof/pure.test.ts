/** What verifies proofs needs nothing of Node, and fits where a browser would have it. */
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'
import { build, type Rolldown } from 'vite'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

const SRC = resolve(import.meta.dirname, '../../../../src')
/** What `verify` and what it needs may have, in a browser's bundle. */
const VERIFY_GZIPPED_BYTES_MAX = 20_000

/** All that a file imports when it runs, by its own imports and by theirs; types cost nothing. */
function closureOf(entry: string): { files: Set<string>; packages: Set<string> } {
  const [files, packages] = [new Set<string>(), new Set<string>()]
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true)
    for (const statement of source.statements) {
      const isImport = ts.isImportDeclaration(statement) && !statement.importClause?.isTypeOnly
      const isExport = ts.isExportDeclaration(statement) && !statement.isTypeOnly
      if (!isImport && !isExport) continue
      const { moduleSpecifier } = statement
      if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) continue
      const { text } = moduleSpecifier
      if (text.startsWith('.')) visit(resolve(dirname(file), text.replace(/\.js$/, '.ts')))
      else packages.add(text)
    }
  }
  visit(entry)
  return { files, packages }
}

test('narval-node/verify imports only what is shared, and of packages only @noble’s', () => {
  const { files, packages } = closureOf(resolve(SRC, 'verify.ts'))
  const rooms = new Set([...files].map((file) => relative(SRC, file).split('/')[0]))
  expect([...rooms].sort()).toEqual(['shared', 'verify.ts'])
  expect([...packages].sort()).toEqual(['@noble/ed25519', '@noble/hashes/sha2.js'])
})

test('narval-node/client imports itself, what is shared, and of packages only @noble’s', () => {
  const { files, packages } = closureOf(resolve(SRC, 'client/index.ts'))
  const rooms = new Set([...files].map((file) => relative(SRC, file).split('/')[0]))
  expect([...rooms].sort()).toEqual(['client', 'shared'])
  expect([...packages].sort()).toEqual(['@noble/ed25519', '@noble/hashes/sha2.js'])
})

test('verify and what it needs take less than 20 kB in a bundle, gzipped, without anything of Node', async () => {
  const virtual = 'virtual:entry'
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    root: temporaryDirectory(),
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === virtual ? `\0${virtual}` : undefined),
        load: (id) =>
          id === `\0${virtual}`
            ? `export { committeeOf, verify } from ${JSON.stringify(resolve(SRC, '../dist/verify.js'))}`
            : undefined,
      },
    ],
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      rollupOptions: { input: virtual, preserveEntrySignatures: 'strict' },
    },
  })
  const { output } = (Array.isArray(result) ? result[0] : result) as Rolldown.RolldownOutput
  const code = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('\n')
  expect(code).toContain('narval/checkpoint/v1')
  // A short message, where the code would be one line of 40 kB.
  expect(/node:|\bBuffer\b|\bprocess\./.exec(code)?.[0]).toBe(undefined)
  expect(gzipSync(code, { level: 9 }).length).toBeLessThan(VERIFY_GZIPPED_BYTES_MAX)
}, 60_000)
