/**
 * What the event loop calls on main passes the supervisor (src/main/lib/supervisor.ts): whoever registers a handler of a
 * timer, a socket, a stream or an event hands in what `guard` has made of it, and a promise that nobody waits for goes
 * to `watch`. This reads the sources for what does not.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const MAIN = resolve(import.meta.dirname, '../../src/main')

/** The rooms of a node. Those of the command line, of `init` and of `local` are processes of their own, which may end. */
const ROOMS = [
  'authority',
  'worker',
  'network',
  'kad',
  'link',
  'names',
  'primary',
  'runner',
  'thread-host',
  'http',
  'gateway',
  'metrics',
  'lib',
]

/** Where a handler is registered, by the name of what is called: the handler is the second argument. */
const EVENTS = new Set(['on', 'once', 'prependListener', 'addListener', 'addEventListener', 'subscribe', 'handle'])
/** The same where it is the first. A socket’s `setTimeout` has it second. */
const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'nextTick'])
/** The same where it is any, or there is none. */
const OTHERS = new Set(['createServer', 'listen', 'connect', 'write', 'end', 'close', 'cork', 'accept'])

/** What `guard` and its like have made. */
const GUARDS = new Set(['guard', 'guardCall'])

/** Handlers that are not guarded, by their file and what they are registered with, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'authority/endings.ts addEventListener': 'it ends a reader of the caller’s, and touches nothing else',
  'kad/kad-node.ts addEventListener': 'they end the promise of `untilKnown`, and touch nothing else',
  'lib/sleep.ts setTimeout': 'they end a promise, and touch nothing else',
  'lib/sleep.ts addEventListener': 'they end a promise, and touch nothing else',
  'lib/signals.ts on': 'a signal is the business of the process, which may end',
  'lib/parent.ts once': 'a parent that is gone is the business of the process, which may end',
  'lib/log-destination.ts setTimeout': 'the log of the process: it serves more than one worker, and outlives them',
  'network/frame-stream.ts addEventListener': '`run` hands what is thrown to `onFailed`, which is the supervisor’s',
  'network/frame-stream.ts queueMicrotask': '`run` hands what is thrown to `onFailed`, which is the supervisor’s',
  'network/frame-stream.ts setInterval': '`run` hands what is thrown to `onFailed`, which is the supervisor’s',
  'network/gate.ts addEventListener': 'they end the promise of `spoke`, with what is thrown; admission waits for it',
  'network/hand-over.ts addEventListener': 'they end the promise of `handOver`, with what is thrown',
  'network/hand-over.ts setTimeout': 'they end the promise of `handOver`, with what is thrown',
  'worker/certified-reader.ts addEventListener': 'it ends a reader of the caller’s, whose signal it is',
}

/** Promises of which nobody is told how they end, in the same way. */
const UNWATCHED: Readonly<Record<string, string>> = {
  'lib/supervisor.ts catch': 'it is `watch`',
}

interface Found {
  readonly key: string
  readonly line: string
}

function scan(file: string): { readonly handlers: Found[]; readonly promises: Found[] } {
  const name = relative(MAIN, file)
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true)
  const guarded = guardedNames(source)
  const handlers: Found[] = []
  const promises: Found[] = []
  const add = (to: Found[], node: ts.Node, called: string): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart())
    to.push({ key: `${name} ${called}`, line: `src/main/${name}:${line + 1} ${called}` })
  }
  const walk = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const called = calledName(node.expression)
      if (handlersOf(node, called).some((handler) => isBare(handler, guarded))) add(handlers, node, called)
    }
    if (ts.isExpressionStatement(node) || ts.isVoidExpression(node)) {
      const { expression } = node
      const called = ts.isCallExpression(expression) ? calledName(expression.expression) : ''
      const isChain = ['then', 'finally'].includes(called) || (called === 'catch' && !isEmptyCatch(expression))
      const isVoid = ts.isVoidExpression(node) && ts.isCallExpression(expression) && isNewsToUs(node, called)
      if (isChain || isVoid) add(promises, node, called)
    }
    ts.forEachChild(node, walk)
  }
  walk(source)
  return { handlers, promises }
}

function calledName(expression: ts.Expression): string {
  if (ts.isIdentifier(expression)) return expression.text
  return ts.isPropertyAccessExpression(expression) ? expression.name.text : ''
}

/** Names of the file that stand for what a guard has made, and executors' `resolve` and `reject`, which never throw. */
function guardedNames(source: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>()
  const bare = new Set<string>()
  const walk = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name)) {
      const isGuard =
        node.initializer !== undefined &&
        ts.isCallExpression(node.initializer) &&
        GUARDS.has(calledName(node.initializer.expression))
      ;(isGuard ? names : bare).add(node.name.text)
    }
    if (ts.isNewExpression(node) && calledName(node.expression) === 'Promise') {
      const [executor] = node.arguments ?? []
      if (executor !== undefined && ts.isArrowFunction(executor)) {
        for (const { name } of executor.parameters) if (ts.isIdentifier(name)) names.add(name.text)
      }
    }
    ts.forEachChild(node, walk)
  }
  walk(source)
  // A name that stands for both is taken for what it is not guarded as.
  for (const name of bare) names.delete(name)
  return names
}

/** The arguments that are handlers, or may be. */
function handlersOf(node: ts.CallExpression, called: string): readonly ts.Expression[] {
  const [first, second] = node.arguments
  if (EVENTS.has(called)) return second === undefined ? [] : [second]
  if (TIMERS.has(called)) {
    if (ts.isIdentifier(node.expression) || called === 'nextTick') return first === undefined ? [] : [first]
    return second === undefined ? [] : [second]
  }
  const isFunction = (it: ts.Expression): boolean => ts.isArrowFunction(it) || ts.isFunctionExpression(it)
  const isNamed = (it: ts.Expression): boolean => ts.isIdentifier(it) && /^(on[A-Z]|resolve$|callback$)/.test(it.text)
  return OTHERS.has(called) ? node.arguments.filter((it) => isFunction(it) || isNamed(it)) : []
}

/** Whether nothing guards a handler. */
function isBare(argument: ts.Expression, guarded: ReadonlySet<string>): boolean {
  if (ts.isArrowFunction(argument) || ts.isFunctionExpression(argument)) {
    return !(ts.isBlock(argument.body) && argument.body.statements.length === 0) && !endsPromise(argument, guarded)
  }
  if (ts.isCallExpression(argument)) return !GUARDS.has(calledName(argument.expression))
  return !(ts.isIdentifier(argument) && guarded.has(argument.text))
}

/** `() => resolve()`: nothing there can throw. */
function endsPromise(handler: ts.ArrowFunction | ts.FunctionExpression, guarded: ReadonlySet<string>): boolean {
  const { body } = handler
  return (
    ts.isCallExpression(body) &&
    ts.isIdentifier(body.expression) &&
    ['resolve', 'reject'].includes(body.expression.text) &&
    body.arguments.length === 0 &&
    guarded.has(body.expression.text)
  )
}

/** `.catch(() => {})`: said to be of no interest. */
function isEmptyCatch(expression: ts.Expression): boolean {
  const [handler] = ts.isCallExpression(expression) ? expression.arguments : []
  return (
    handler !== undefined &&
    ts.isArrowFunction(handler) &&
    ts.isBlock(handler.body) &&
    handler.body.statements.length === 0
  )
}

/** `void f()` as a statement lets go of a promise. LMDB’s and sets’ and deques’ results are none. */
function isNewsToUs(node: ts.VoidExpression, called: string): boolean {
  return ts.isExpressionStatement(node.parent) && !['push', 'add', 'set', 'delete'].includes(called)
}

const files = ROOMS.flatMap((room) =>
  readdirSync(join(MAIN, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(MAIN, room, name)),
)
const scanned = files.map(scan)

describe('handlers on main', () => {
  test('are found at all, and every room of main is a worker’s or a process of its own', () => {
    const rooms = readdirSync(MAIN, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(rooms.map(({ name }) => name).sort()).toEqual([...ROOMS, 'cli', 'init', 'local'].sort())
    expect(files.length).toBeGreaterThan(80)
  })

  test('pass the supervisor, or are named here with a reason', () => {
    const bare = scanned.flatMap(({ handlers }) => handlers)
    expect(bare.filter(({ key }) => !(key in EXCEPTIONS)).map(({ line }) => line)).toEqual([])
    const keys = new Set(bare.map(({ key }) => key))
    expect(Object.keys(EXCEPTIONS).filter((key) => !keys.has(key))).toEqual([])
  })

  test('of promises: one that nobody waits for is watched, or named here with a reason', () => {
    const loose = scanned.flatMap(({ promises }) => promises)
    expect(loose.filter(({ key }) => !(key in UNWATCHED)).map(({ line }) => line)).toEqual([])
    const keys = new Set(loose.map(({ key }) => key))
    expect(Object.keys(UNWATCHED).filter((key) => !keys.has(key))).toEqual([])
  })
})
