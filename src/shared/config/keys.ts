/**
 * An authority's key file, the reference's (asonnino/narwhal crypto/src/lib.rs, config/src/lib.rs `KeyPair`):
 * `{"name": base64 of the public key, "secret": base64 of seed 32 ‖ public key 32}`.
 */

import { z } from 'zod'
import { bytesArgument, objectArgument, pathArgument, textArgument } from '../arguments.js'
import { PUBLIC_KEY_BYTES, SEED_BYTES } from '../constants.js'
import { generateSeed, publicKeyOf } from '../crypto/ed25519.js'
import { decodeBase64, decodePublicKey, encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import { commandName, shellWord } from '../runtime/command.js'
import { readJsonFile, writeNewFile } from './config-file.js'
import { check } from './schema.js'

export interface Keys {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The Ed25519 seed, 32 bytes: the secret. */
  readonly seed: Uint8Array
  /** The public key in base64: the authority's name in files and logs. */
  readonly name: string
}

// Messages never show what was found: it may be the secret.
const schema = z.strictObject({ name: z.string(), secret: z.string() })

export function generateKeys(): Keys {
  return keysOf(generateSeed())
}

export function keysOf(seed: Uint8Array): Keys {
  const publicKey = publicKeyOf(seed)
  return { publicKey, seed, name: encodeBase64(publicKey) }
}

/** Errors: `ERR_KEYS_MALFORMED`. */
export function parseKeys(json: unknown, where = 'keys'): Keys {
  textArgument('where', where)
  const { name, secret } = check(schema, json, 'ERR_KEYS_MALFORMED', where)
  const publicKey = decodePublicKey(name)
  if (publicKey === undefined) throw malformed(where, 'name: expected 44 characters of base64, 32 bytes')
  const bytes = decodeBase64(secret, SEED_BYTES + publicKey.length)
  if (bytes === undefined) throw malformed(where, 'secret: expected 88 characters of base64, a seed and its public key')
  const keys = keysOf(bytes.slice(0, SEED_BYTES))
  if (encodeBase64(bytes.subarray(SEED_BYTES)) !== keys.name) {
    throw malformed(where, 'secret: its second half is not the public key of its first')
  }
  if (keys.name !== name) throw malformed(where, `name: ${name} is not the key of the secret, which is ${keys.name}`)
  return keys
}

/** Errors: `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_MALFORMED`, `ERR_KEYS_MALFORMED`. */
export function readKeys(path: string): Keys {
  pathArgument('path', path)
  const remedy = `make it with \`${commandName()} generate_keys --filename ${shellWord(path)}\``
  return parseKeys(readJsonFile(path, 'key file', remedy), `key file ${path}`)
}

export function formatKeys(keys: Keys): string {
  const secret = encodeBase64(Buffer.concat([keys.seed, keys.publicKey]))
  return `${JSON.stringify({ name: keys.name, secret }, null, 2)}\n`
}

/** Writes a new file that its owner alone can read. Errors: `ERR_FILE_EXISTS` and others of `writeNewFile`. */
export function writeKeys(path: string, keys: Keys): void {
  writeNewFile(pathArgument('path', path), formatKeys(keysArgument('keys', keys)), 0o600)
}

/** Keys that a caller hands in: as `readKeys` and `generateKeys` make them. */
export function keysArgument(name: string, value: unknown): Keys {
  const {
    publicKey,
    seed,
    name: authority,
  } = objectArgument(name, value, 'keys, as readKeys and generateKeys give them')
  bytesArgument(`${name}.publicKey`, publicKey, PUBLIC_KEY_BYTES)
  const keys = keysOf(new Uint8Array(bytesArgument(`${name}.seed`, seed, SEED_BYTES)))
  if (keys.name !== encodeBase64(publicKey as Uint8Array)) {
    throw new RangeError(`${name}.publicKey: not the public key of ${name}.seed`)
  }
  if (textArgument(`${name}.name`, authority) === keys.name) return keys
  throw new RangeError(`${name}.name: expected the public key in base64, ${keys.name}`)
}

function malformed(where: string, problem: string): NarvalError {
  return new NarvalError('ERR_KEYS_MALFORMED', `${where}: ${problem}`)
}
