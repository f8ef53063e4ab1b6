/**
 * Reading and writing the files that a user hands to a node, with errors that say what to do. No message quotes
 * what a file says beyond a key's name or a short value: one of the files is a secret.
 */
import * as fs from 'node:fs'
import { NarvalError } from '../errors.js'
import { findJsonProblem } from './json-problem.js'
import { CONFIG_FILE_BYTES_MAX } from './limits.js'

/**
 * The JSON value in the file at `path`. `what` names the kind of file, `remedy` says how one is made.
 *
 * Errors: `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_MALFORMED`.
 */
export function readJsonFile(path: string, what: string, remedy: string): unknown {
  const text = readText({ path, what, remedy, form: 'JSON' })
  const found = findJsonProblem(text)
  if (found !== undefined) {
    throw malformed({ path, what, form: 'JSON' }, `line ${found.line}, column ${found.column}: ${found.problem}`)
  }
  return JSON.parse(text)
}

/** The text in the file at `path`; for what it says the caller answers. Parameters and errors as of `readJsonFile`. */
export function readTextFile(path: string, what: string, remedy: string): string {
  return readText({ path, what, remedy, form: 'text' })
}

/**
 * Writes a file that must not exist yet, and has it on disk when it returns. What could not be written whole is removed.
 *
 * Errors: `ERR_FILE_EXISTS`, `ERR_FILE_MISSING` (its directory), `ERR_FILE_UNWRITABLE`.
 */
export function writeNewFile(path: string, text: string, mode = 0o644): void {
  let file: number
  try {
    file = fs.openSync(path, 'wx', mode)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EEXIST') {
      throw new NarvalError('ERR_FILE_EXISTS', `${path} exists, and is not overwritten: name another file, or move it`)
    }
    if (code === 'ENOENT') {
      throw new NarvalError('ERR_FILE_MISSING', `the directory of ${path} does not exist: make it first`)
    }
    throw new NarvalError('ERR_FILE_UNWRITABLE', `${path} cannot be written: ${reason(error)}`, { cause: error })
  }
  try {
    fs.writeFileSync(file, text)
    fs.fsyncSync(file)
  } catch (error) {
    fs.rmSync(path, { force: true })
    throw new NarvalError('ERR_FILE_UNWRITABLE', `${path} cannot be written: ${reason(error)}`, { cause: error })
  } finally {
    fs.closeSync(file)
  }
}

/** JSON as Python's `json.dump(…, indent=4, sort_keys=True)` writes it: the form of the reference's scripts. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(sorted(value), null, 4)}\n`
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]))
}

interface ReadFile {
  readonly path: string
  readonly what: string
  readonly remedy: string
  readonly form: 'JSON' | 'text'
}

function readText(file: ReadFile): string {
  const bytes = readBytes(file)
  if (bytes.length > CONFIG_FILE_BYTES_MAX) {
    throw malformed(file, `${bytes.length} bytes, at most ${CONFIG_FILE_BYTES_MAX}`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw malformed(file, 'not UTF-8')
  }
}

function readBytes(file: ReadFile): Buffer {
  const { path, remedy, what } = file
  try {
    const size = fs.statSync(path).size
    if (size > CONFIG_FILE_BYTES_MAX) throw malformed(file, `${size} bytes, at most ${CONFIG_FILE_BYTES_MAX}`)
    return fs.readFileSync(path)
  } catch (error) {
    if (error instanceof NarvalError) throw error
    const code = errorCode(error)
    if (code === 'ENOENT') throw new NarvalError('ERR_FILE_MISSING', `${what} ${path} does not exist: ${remedy}`)
    throw new NarvalError('ERR_FILE_UNREADABLE', `${what} ${path} cannot be read: ${reason(error)}`, { cause: error })
  }
}

function malformed({ form, path, what }: Omit<ReadFile, 'remedy'>, problem: string): NarvalError {
  return new NarvalError('ERR_FILE_MALFORMED', `${what} ${path} is not ${form} that can be read: ${problem}`)
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** The first clause of a system error: `EACCES: permission denied`. */
function reason(error: unknown): string {
  return error instanceof Error ? (error.message.split(',')[0] as string) : String(error)
}
