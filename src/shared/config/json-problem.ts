/**
 * Where a text stops being JSON, for a message that helps. `JSON.parse` names a position on some versions of Node and
 * not on others, quotes the text around it — a key file's secret — and takes a key that is given twice without a word.
 */
import { CONFIG_DEPTH_MAX } from './limits.js'

export interface JsonProblem {
  /** Counted from 1, as editors do. */
  readonly line: number
  readonly column: number
  readonly problem: string
}

const SPACE = /[ \t\n\r]*/y
// Between the quotes: all from the space on but the quote and the backslash, and the escapes.
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/** The first problem of `text`, or `undefined`: then `JSON.parse` takes it, and no object in it names a key twice. */
export function findJsonProblem(text: string): JsonProblem | undefined {
  const scanner = new Scanner(text)
  const problem = scanner.value(0) ?? scanner.end()
  return problem === undefined ? undefined : { ...positionOf(text, scanner.offset), problem }
}

/** Each method moves past what it names, or returns the problem at `offset`. */
class Scanner {
  private readonly text: string
  offset = 0

  constructor(text: string) {
    this.text = text
  }

  value(depth: number): string | undefined {
    if (depth > CONFIG_DEPTH_MAX) return `nested more than ${CONFIG_DEPTH_MAX} deep`
    if (this.take('{')) return this.object(depth)
    if (this.take('[')) return this.array(depth)
    if (this.match(STRING) !== undefined || this.match(SCALAR) !== undefined) return undefined
    return this.expected('a value')
  }

  end(): string | undefined {
    this.match(SPACE)
    return this.offset === this.text.length ? undefined : 'text after the end of the value'
  }

  private object(depth: number): string | undefined {
    const keys = new Set<string>()
    if (this.take('}')) return undefined
    do {
      this.match(SPACE)
      const start = this.offset
      const token = this.match(STRING)
      if (token === undefined) return this.expected('a key in double quotes')
      const key = JSON.parse(token) as string
      if (keys.has(key) || key === '__proto__') {
        this.offset = start
        return keys.has(key) ? `the key ${token} is given twice` : `the key ${token} is not allowed`
      }
      keys.add(key)
      if (!this.take(':')) return this.expected("':'")
      const problem = this.value(depth + 1)
      if (problem !== undefined) return problem
    } while (this.take(','))
    return this.take('}') ? undefined : this.expected("',' or '}'")
  }

  private array(depth: number): string | undefined {
    if (this.take(']')) return undefined
    do {
      const problem = this.value(depth + 1)
      if (problem !== undefined) return problem
    } while (this.take(','))
    return this.take(']') ? undefined : this.expected("',' or ']'")
  }

  /** Skips spaces, and `character` if it comes next. */
  private take(character: string): boolean {
    this.match(SPACE)
    if (this.text[this.offset] !== character) return false
    this.offset += 1
    return true
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.offset
    const token = pattern.exec(this.text)?.[0]
    if (token !== undefined) this.offset += token.length
    return token
  }

  private expected(what: string): string {
    this.match(SPACE)
    return this.offset === this.text.length ? `the text ends where ${what} is expected` : `${what} is expected`
  }
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const lines = text.slice(0, offset).split('\n')
  return { line: lines.length, column: (lines.at(-1) as string).length + 1 }
}
