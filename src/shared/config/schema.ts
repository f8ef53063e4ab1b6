/** What the schemas of narval's files share: values checked with the limit and the actual value in the message. */
import { z } from 'zod'
import { type ErrorCode, NarvalError } from '../errors.js'

/** Problems named in one message; a file that has more is fixed in steps. */
const PROBLEMS_SHOWN = 5
const VALUE_CHARS_SHOWN = 60

/** Refuses the value under check. */
export function refuse(context: z.RefinementCtx, problem: string, path: PropertyKey[] = []): never {
  context.addIssue({ code: 'custom', message: problem, path })
  return z.NEVER
}

/** An integer from `min` to `max`. */
export function integer(min: number, max: number) {
  return z.unknown().transform((value, context): number => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
    return refuse(context, `expected an integer from ${min} to ${max}, found ${show(value)}`)
  })
}

/** One of `choices`. */
export function choice<const T extends string>(choices: readonly T[]) {
  return z.unknown().transform((value, context): T => {
    const chosen = choices.find((candidate) => candidate === value)
    if (chosen !== undefined) return chosen
    return refuse(context, `expected ${choices.map((each) => `"${each}"`).join(' or ')}, found ${show(value)}`)
  })
}

/** What `parse` makes of a string; `undefined` from it is a refusal, whose message names what was `expected`. */
export function text<T>(expected: string, parse: (text: string) => T | undefined) {
  return z.unknown().transform((value, context): T => {
    const parsed = typeof value === 'string' ? parse(value) : undefined
    return parsed ?? refuse(context, `expected ${expected}, found ${show(value)}`)
  })
}

/** The value that `schema` makes of `json`, or an error with `code` that names `where` and the path of each problem. */
export function check<T>(schema: z.ZodType<T>, json: unknown, code: ErrorCode, where: string): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => {
    const path = issue.path.map((step) => showKey(step)).join('.')
    return path === '' ? describe(issue) : `${path}: ${describe(issue)}`
  })
  const shown = problems.slice(0, PROBLEMS_SHOWN)
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`)
  throw new NarvalError(code, `${where}: ${shown.join('; ')}`)
}

/** A value, short and on one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const json = JSON.stringify(value) ?? typeof value
  return json.length <= VALUE_CHARS_SHOWN ? json : `${json.slice(0, VALUE_CHARS_SHOWN)}…`
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown ${issue.keys.map((key) => show(key)).join(', ')}`
  if (issue.code === 'invalid_type') return `expected ${issue.expected === 'record' ? 'object' : issue.expected}`
  return issue.message
}

function showKey(key: PropertyKey): string {
  const name = String(key)
  return /^[\w+/=-]{1,60}$/.test(name) ? name : show(name)
}
