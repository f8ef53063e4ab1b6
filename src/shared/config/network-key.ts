/**
 * A worker's network key: the Ed25519 seed that its libp2p PeerId comes from. It is derived from the authority's
 * secret, so that a worker has the same PeerId after every start. Or it is read from a file, so that the network
 * identity is not tied to the authority's key.
 */
import { hkdfSync } from 'node:crypto'
import { z } from 'zod'
import { SEED_BYTES } from '../constants.js'
import { decodeBase64, encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import { readJsonFile, writeNewFile } from './config-file.js'
import { check } from './schema.js'

const SALT = 'narval/network-key/v1'
const LINK_SALT = 'narval/link-key/v1'

const schema = z.strictObject({ network_key: z.string() })

/**
 * HKDF-SHA256: the authority's seed as key, `narval/network-key/v1` as salt, the worker id (u32 LE), `primary`, or of a
 * bootstrap node's own keys `bootstrap`, as info.
 */
export function deriveNetworkKeySeed(authoritySeed: Uint8Array, role: number | 'primary' | 'bootstrap'): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', authoritySeed, SALT, infoOf(role), SEED_BYTES))
}

/**
 * The seed of the libp2p key of one end of the link between a primary and a worker of its authority: both can compute both
 * PeerIds, and nobody else either key. It is another key than that with which the same node speaks to other authorities, since
 * two nodes of one PeerId would be one to libp2p.
 */
export function deriveLinkKeySeed(authoritySeed: Uint8Array, role: number | 'primary'): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', authoritySeed, LINK_SALT, infoOf(role), SEED_BYTES))
}

/**
 * The seed in a network key file, `{"network_key": base64 of 32 bytes}`.
 *
 * Errors: `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_MALFORMED`, `ERR_KEYS_MALFORMED`.
 */
export function readNetworkKeySeed(path: string): Uint8Array {
  const remedy = `make it with \`(umask 077; echo "{\\"network_key\\": \\"$(openssl rand -base64 32)\\"}" > ${path})\``
  const where = `network key file ${path}`
  const json = readJsonFile(path, 'network key file', remedy)
  const { network_key: base64 } = check(schema, json, 'ERR_KEYS_MALFORMED', where)
  const seed = decodeBase64(base64, SEED_BYTES)
  if (seed !== undefined) return seed
  throw new NarvalError('ERR_KEYS_MALFORMED', `${where}: network_key: expected 44 characters of base64, 32 bytes`)
}

/** Errors: `ERR_FILE_EXISTS` and others of `writeNewFile`. */
export function writeNetworkKey(path: string, seed: Uint8Array): void {
  writeNewFile(path, `${JSON.stringify({ network_key: encodeBase64(seed) }, null, 2)}\n`, 0o600)
}

function infoOf(role: number | 'primary' | 'bootstrap'): Buffer {
  if (typeof role === 'string') return Buffer.from(role)
  const info = Buffer.alloc(4)
  info.writeUInt32LE(role)
  return info
}
