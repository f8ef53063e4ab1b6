/**
 * Checks of what a caller of the library hands in, at the door: behind it, values are what their types say.
 *
 * A value of the wrong type is a `TypeError`, one of the right type that cannot be used a `RangeError`. Both begin with
 * the name of the argument, so that the caller finds it. Nothing here needs Node.
 */

/** Characters of a value that are shown in a message. */
const SHOWN_CHARS_MAX = 40

/** `%TypedArray%.prototype[Symbol.toStringTag]`: tells the kind of a typed array of any realm, and cannot be faked. */
const kindOfTypedArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get as (this: unknown) => string | undefined

/** Whether a value is a `Uint8Array`, of whichever realm and over whichever buffer; a `Buffer` is one. */
export function isBytes(value: unknown): value is Uint8Array {
  return kindOfTypedArray.call(value) === 'Uint8Array'
}

/** Bytes: exactly `length` of them if it is given. */
export function bytesArgument(name: string, value: unknown, length?: number): Uint8Array {
  if (!isBytes(value))
    throw wrongType(name, length === undefined ? 'a Uint8Array' : `a Uint8Array of ${length} bytes`, value)
  if (length !== undefined && value.length !== length) {
    throw new RangeError(`${name}: expected ${length} bytes, found ${value.length}`)
  }
  return value
}

/** A string that is not empty. */
export function textArgument(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value)
  if (value === '') throw new RangeError(`${name}: expected a string that is not empty`)
  return value
}

/** The path of a file or directory. */
export function pathArgument(name: string, value: unknown): string {
  const path = textArgument(name, value)
  if (path.includes('\0')) throw new RangeError(`${name}: expected a path, found a zero byte in it`)
  return path
}

export function integerArgument(name: string, value: unknown, min: number, max: number): number {
  const expected = `an integer from ${min} to ${max}`
  if (typeof value !== 'number') throw wrongType(name, expected, value)
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new RangeError(`${name}: expected ${expected}, found ${value}`)
  }
  return value
}

/** A BigInt that fits 64 bits without a sign. */
export function u64Argument(name: string, value: unknown): bigint {
  if (typeof value !== 'bigint') throw wrongType(name, 'a bigint', value)
  if (value < 0n || value >= 1n << 64n)
    throw new RangeError(`${name}: expected a bigint from 0 to 2^64 - 1, found ${value}`)
  return value
}

export function booleanArgument(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value)
  return value
}

export function functionArgument<T extends (...values: never[]) => unknown>(name: string, value: unknown): T {
  if (typeof value !== 'function') throw wrongType(name, 'a function', value)
  return value as T
}

export function choiceArgument<const T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const chosen = choices.find((choice) => choice === value)
  if (chosen !== undefined) return chosen
  const expected = choices.map((choice) => `'${choice}'`).join(', ')
  if (typeof value !== 'string') throw wrongType(name, expected, value)
  throw new RangeError(`${name}: expected one of ${expected}, found ${show(value)}`)
}

/** An object that is no array, no function and no bytes. */
export function objectArgument(name: string, value: unknown, expected = 'an object'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw wrongType(name, expected, value)
  }
  return value as Record<string, unknown>
}

export function arrayArgument(name: string, value: unknown, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array', value)
  if (value.length > lengthMax) throw new RangeError(`${name}: ${value.length} entries, at most ${lengthMax}`)
  // A copy without holes: `map` would pass over them.
  return Array.from(value as unknown[])
}

/** Options: a misspelt one would be ignored otherwise, and its default taken. */
export function refuseUnknownKeys(name: string, value: object, known: readonly string[]): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key))
  if (unknown.length === 0) return
  throw new TypeError(`${name}: unknown ${unknown.map((key) => show(key)).join(', ')}; there is ${known.join(', ')}`)
}

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name}: expected ${expected}, found ${describe(value)}`)
}

/** What a value is, in a few words. Of a string or an object nothing is shown: it may be a secret. */
function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `a string of ${value.length} characters`
  if (typeof value === 'object' || typeof value === 'function') return article(kindOf(value))
  return `the ${typeof value} ${show(value)}`
}

function kindOf(value: object): string {
  if (typeof value === 'function') return 'function'
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

function article(noun: string): string {
  return `${/^[aeio]/i.test(noun) ? 'an' : 'a'} ${noun}`
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`
}
