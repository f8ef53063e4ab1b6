/** Imports run main → shared, threads → shared and client → shared, and no other way. */
import { execFileSync } from 'node:child_process'
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

/** Programs that tests run as processes of their own: nothing but running them would say that a name has moved. */
test('programs of tests import names that are there', () => {
  const root = resolve(SRC, '..')
  const programs = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => join(root, 'test', name))
  const wanted = programs.flatMap((program) =>
    [...readFileSync(program, 'utf8').matchAll(/^import \{([^}]*)\} from '(\.[^']*)'$/gm)].map(([, names, from]) => ({
      program: relative(root, program),
      from: resolve(program, '..', from!),
      names: names!.split(',').flatMap((name) => name.trim().split(' as ')[0] || []),
    })),
  )
  expect(wanted.length).toBeGreaterThan(20)
  const source = `
    const missing = []
    for (const { from, names, program } of ${JSON.stringify(wanted)}) {
      const found = await import(from)
      for (const name of names) if (!(name in found)) missing.push(program + ': ' + name + ' of ' + from)
    }
    process.stdout.write(JSON.stringify(missing), () => process.exit(0))`
  const options = { encoding: 'utf8', timeout: 60_000 } as const
  expect(JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', source], options))).toEqual([])
})
