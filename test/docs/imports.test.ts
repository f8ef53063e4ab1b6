/** Imports run main → shared, threads → shared and client → shared, and no other way. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const SRC = resolve(import.meta.dirname, '../../src')

interface Import {
  readonly from: string
  readonly to: string
}

function importsOf(file: string): Import[] {
  const from = relative(SRC, file)
  const found: Import[] = []
  const add = (specifier: ts.Expression): void => {
    if (!ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return
    found.push({ from, to: relative(SRC, resolve(file, '..', specifier.text)) })
  }
  const walk = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier)
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node.moduleSpecifier)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      // A specifier that is put together at run time could lead anywhere.
      expect(ts.isStringLiteral(node.arguments[0]!), `${from} imports what is known only at run time`).toBe(true)
      add(node.arguments[0]!)
    }
    ts.forEachChild(node, walk)
  }
  walk(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true))
  return found
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const imports = files.flatMap((name) => importsOf(join(SRC, name)))
const within = (directory: string) => (path: string) => path.startsWith(`${directory}/`)
const [isMain, isThreads, isShared, isClient] = [within('main'), within('threads'), within('shared'), within('client')]
const thread = (path: string): string => path.split('/').slice(0, 2).join('/')
const named = (found: readonly Import[]): string[] => found.map(({ from, to }) => `${from} → ${to}`)

describe('imports', () => {
  test('are found at all', () => {
    expect(files.length).toBeGreaterThan(80)
    expect(imports.some(({ from, to }) => isMain(from) && isShared(to))).toBe(true)
    expect(imports.some(({ from, to }) => isThreads(from) && isShared(to))).toBe(true)
  })

  test('of shared are of shared', () => {
    expect(named(imports.filter(({ from, to }) => isShared(from) && !isShared(to)))).toEqual([])
  })

  test('of the threads are of shared and of the thread itself, not even types of main or of another thread', () => {
    const wrong = imports.filter(({ from, to }) => isThreads(from) && !isShared(to) && thread(from) !== thread(to))
    expect(named(wrong)).toEqual([])
  })

  test('of main are of main and shared: main knows a thread by its file, and what it hands it lies in shared', () => {
    expect(named(imports.filter(({ from, to }) => isMain(from) && !isMain(to) && !isShared(to)))).toEqual([])
  })

  test('of the client are of the client and of shared: no part of a node runs in a browser', () => {
    expect(imports.some(({ from, to }) => isClient(from) && isShared(to))).toBe(true)
    expect(named(imports.filter(({ from, to }) => isClient(from) && !isClient(to) && !isShared(to)))).toEqual([])
  })

  test('of the package’s entry and the executable are of main and shared', () => {
    const ofEntries = imports.filter(({ from }) => !from.includes('/'))
    expect(named(ofEntries.filter(({ to }) => !isMain(to) && !isShared(to)))).toEqual([])
  })
})

test('no directory is made with `recursive`, which never ends where nothing can be made', () => {
  const makes = /\b(mkdir|mkdirSync)\([^)]*recursive/
  expect(files.filter((name) => makes.test(readFileSync(join(SRC, name), 'utf8')))).toEqual([])
})
