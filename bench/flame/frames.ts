/** What a frame of a CPU profile is: whose code, and how a reader wants to see it. */

/** As V8 gives it; `lineNumber` counts from 0. A function of V8's or C++ has no URL. */
export interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

/** Whose code it is; a page has one colour for each. */
export type FrameKind = 'narval' | 'dependency' | 'node' | 'native' | 'gc'

export interface Frame {
  readonly name: string
  /**
   * What the stages are told by: `narval/main/network/router.js`, `npm/@scope/package/file.js`, `node/internal/timers`; empty for
   * what has no file.
   */
  readonly module: string
  /** For a reader: the file as the profile saw it, with its line counted from 1, or empty. */
  readonly where: string
  readonly kind: FrameKind
}

const OWN = /\/dist\/((?:main|threads|shared)\/.+|node\.js|index\.js)$/
const PACKAGE = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+\/.*)$/

/** How we call what V8 calls `(program)`. */
export const OUTSIDE = 'native, outside JavaScript'

/** V8's own names for samples that are in no function. */
const PSEUDO: ReadonlyMap<string, Pick<Frame, 'name' | 'kind'>> = new Map([
  ['(garbage collector)', { name: 'garbage collector', kind: 'gc' }],
  ['(program)', { name: OUTSIDE, kind: 'native' }],
])

export function describeFrame({ functionName, url, lineNumber }: CallFrame): Frame {
  const pseudo = PSEUDO.get(functionName)
  if (pseudo !== undefined) return { ...pseudo, module: '', where: '' }
  const name = functionName === '' ? '(anonymous)' : functionName
  if (url === '') return { name, module: '', where: '', kind: 'native' }
  const line = `:${lineNumber + 1}`
  if (url.startsWith('node:')) {
    const path = url.slice('node:'.length)
    return { name, module: `node/${path}`, where: `${url}${line}`, kind: 'node' }
  }
  // WebAssembly has no file; whose it is shows in what called it.
  if (url.startsWith('wasm:')) return { name, module: '', where: 'WebAssembly', kind: 'dependency' }
  const inPackage = PACKAGE.exec(url)?.[1]
  if (inPackage !== undefined) {
    return { name, module: `npm/${inPackage}`, where: `${inPackage}${line}`, kind: 'dependency' }
  }
  const own = OWN.exec(url)?.[1]
  if (own !== undefined) return { name, module: `narval/${own}`, where: `dist/${own}${line}`, kind: 'narval' }
  return { name, module: '', where: `${url}${line}`, kind: 'dependency' }
}
