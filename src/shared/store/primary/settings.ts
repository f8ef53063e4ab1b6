/**
 * What a primary's store was made for. What is in it holds under these settings only: our votes bind us in one committee,
 * and commits go on under one rule.
 */
import { z } from 'zod'
import { COMMITTEE_SIZE_MAX, DIGEST_BYTES, PUBLIC_KEY_BYTES } from '../../constants.js'
import { decodeBase64 } from '../../crypto/public-key.js'
import { NarvalError } from '../../errors.js'
import { damaged } from './format.js'

export interface PrimarySettings {
  /** Our public key, in base64. */
  readonly authority: string
  /** In hexadecimal. */
  readonly committeeDigest: string
  /** How many authorities there are. */
  readonly authorities: number
  readonly epoch: number
  readonly rule: string
  readonly gcDepth: number
}

const whole = z.int().min(0)
const schema = z.strictObject({
  authority: z.string().refine((text) => decodeBase64(text, PUBLIC_KEY_BYTES) !== undefined),
  committeeDigest: z.string().regex(new RegExp(`^[0-9a-f]{${2 * DIGEST_BYTES}}$`)),
  authorities: whole.min(1).max(COMMITTEE_SIZE_MAX),
  epoch: whole,
  rule: z.string(),
  gcDepth: whole.min(1),
}) satisfies z.ZodType<PrimarySettings>

export function encodeSettings(settings: PrimarySettings): Buffer {
  return Buffer.from(JSON.stringify(schema.parse(settings)))
}

/** @throws NarvalError ERR_STORE_DAMAGED */
export function decodeSettings(value: Uint8Array | undefined): PrimarySettings {
  const result = schema.safeParse(parsed(value))
  if (result.success) return result.data
  const [problem] = result.error.issues
  throw damaged(`its settings cannot be read: ${problem!.path.join('.') || 'value'}: ${problem!.message}`)
}

/**
 * Refuses a store that was made for something else.
 *
 * @throws NarvalError ERR_STORE_FOREIGN, ERR_STORE_SETTINGS
 */
export function checkSettings(found: PrimarySettings, expected: PrimarySettings, directory: string): void {
  if (found.authority !== expected.authority) {
    throw new NarvalError(
      'ERR_STORE_FOREIGN',
      `the store ${directory} belongs to the authority ${found.authority}: give this one a --store of its own`,
    )
  }
  for (const [key, what, remedy] of BINDING) {
    if (found[key] === expected[key]) continue
    throw new NarvalError(
      'ERR_STORE_SETTINGS',
      `the store ${directory} was made with ${what} ${found[key]}, this node has ${expected[key]}: ${remedy}`,
    )
  }
}

/** In this order: another committee explains other sizes. */
const BINDING: readonly (readonly [keyof PrimarySettings, what: string, remedy: string])[] = [
  [
    'committeeDigest',
    'the committee',
    'put back the committee file that it was made with, keys, stakes and workers; another committee needs another store',
  ],
  ['authorities', 'a committee of', 'put back the committee file that it was made with'],
  ['epoch', 'epoch', 'one store goes through one epoch'],
  ['rule', 'the rule', 'all authorities order by one rule for as long as the log lasts: start with that one'],
  ['gcDepth', 'gc_depth', 'all authorities have one gc_depth for as long as the log lasts: start with that one'],
]

function parsed(value: Uint8Array | undefined): unknown {
  if (value === undefined) throw damaged('its settings are not there')
  try {
    return JSON.parse(Buffer.from(value).toString())
  } catch {
    throw damaged('its settings are no JSON')
  }
}
