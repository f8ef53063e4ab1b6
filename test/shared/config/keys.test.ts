import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { generateKeys, parseKeys, readKeys, writeKeys } from '../../../src/shared/config/keys.js'
import { deriveNetworkKeySeed, readNetworkKeySeed, writeNetworkKey } from '../../../src/shared/config/network-key.js'
import { signer, verify } from '../../../src/shared/crypto/ed25519.js'
import { commandName } from '../../../src/shared/runtime/command.js'
import { fromHex, toHex, vectors } from '../../support/reference-vectors.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const key = vectors.keys[0]!
const file = { name: key.name_base64, secret: key.secret_base64 }
const malformed = (about: RegExp) =>
  expect.objectContaining({ code: 'ERR_KEYS_MALFORMED', message: expect.stringMatching(about) })

describe('a key file', () => {
  test('is written as the reference writes it, for its owner alone, and read back', () => {
    const path = join(temporaryDirectory(), 'keys.json')
    const keys = generateKeys()
    writeKeys(path, keys)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readKeys(path)).toEqual(keys)
    expect(readFileSync(path, 'utf8')).toMatch(/^\{\n {2}"name": "[\w+/]{43}=",\n {2}"secret": "[\w+/]{86}=="\n\}\n$/)
    expect(verify(keys.publicKey, fromHex('01'), signer(keys.seed)(fromHex('01')))).toBe(true)
  })

  test('that exists is not overwritten: ERR_FILE_EXISTS', () => {
    const path = join(temporaryDirectory(), 'keys.json')
    writeFileSync(path, 'precious')
    expect(() => writeKeys(path, generateKeys())).toThrow(expect.objectContaining({ code: 'ERR_FILE_EXISTS' }))
    expect(readFileSync(path, 'utf8')).toBe('precious')
  })

  test('in a directory that does not exist is ERR_FILE_MISSING, writing too', () => {
    const path = join(temporaryDirectory(), 'none', 'keys.json')
    const missing = expect.objectContaining({ code: 'ERR_FILE_MISSING', message: expect.stringContaining(path) })
    expect(() => writeKeys(path, generateKeys())).toThrow(missing)
    expect(() => readKeys(path)).toThrow(missing)
    expect(() => readKeys(path)).toThrow(`make it with \`${commandName()} generate_keys`)
  })

  test('that is a directory is ERR_FILE_UNREADABLE', () => {
    const path = join(temporaryDirectory(), 'keys.json')
    mkdirSync(path)
    expect(() => readKeys(path)).toThrow(expect.objectContaining({ code: 'ERR_FILE_UNREADABLE' }))
  })

  test('that is not JSON is ERR_FILE_MALFORMED with the position, and without the secret', () => {
    const path = join(temporaryDirectory(), 'keys.json')
    writeFileSync(path, `{\n  "name": "${file.name}",\n  "secret": ${file.secret}\n}\n`)
    let message = ''
    try {
      readKeys(path)
    } catch (error) {
      expect(error).toEqual(expect.objectContaining({ code: 'ERR_FILE_MALFORMED' }))
      message = String(error)
    }
    expect(message).toContain('line 3, column 13')
    expect(message).not.toContain(file.secret.slice(0, 6))
  })

  test('whose parts do not belong together, or that has too few or too many, is ERR_KEYS_MALFORMED', () => {
    const other = vectors.keys[1]!
    const seed = Buffer.from(key.seed, 'hex')
    const wrongHalf = Buffer.concat([seed, Buffer.from(other.public, 'hex')]).toString('base64')
    const cases: [unknown, RegExp][] = [
      [{ ...file, name: other.name_base64 }, /name: .* is not the key of the secret/],
      [{ ...file, secret: wrongHalf }, /secret: its second half/],
      [{ ...file, secret: seed.toString('base64') }, /secret: expected 88 characters/],
      [{ ...file, name: file.name.slice(0, 43) }, /name: expected 44 characters/],
      [{ name: file.name }, /secret: expected string/],
      [{ ...file, name: 7 }, /name: expected string/],
      [{ ...file, extra: 1 }, /unknown "extra"/],
      [[], /expected object/],
      [null, /expected object/],
    ]
    for (const [json, about] of cases) expect(() => parseKeys(json, 'k'), String(about)).toThrow(malformed(about))
  })
})

describe('a network key', () => {
  test('is derived by HKDF-SHA256 from the authority’s seed and the worker id', () => {
    // Computed with Python's hmac: extract with the salt, one block of expand.
    expect(toHex(deriveNetworkKeySeed(fromHex(key.seed), 0))).toBe(
      'e39ab5a8828068435f49393d016834943ed90ac8116bef1e581c5490509df603',
    )
    expect(toHex(deriveNetworkKeySeed(fromHex(key.seed), 0x01020304))).toBe(
      'a061b76ad29653bfd307bb20dc66fc9d874902fa5ad575620789a42dda143668',
    )
  })

  test('is read from its file as it was written', () => {
    const path = join(temporaryDirectory(), 'network-key.json')
    const seed = fromHex('07'.repeat(32))
    writeNetworkKey(path, seed)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readNetworkKeySeed(path)).toEqual(seed)
  })

  test('of another length is ERR_KEYS_MALFORMED; a missing file is ERR_FILE_MISSING and says how to make it', () => {
    const path = join(temporaryDirectory(), 'network-key.json')
    expect(() => readNetworkKeySeed(path)).toThrow('openssl rand -base64 32')
    writeFileSync(path, JSON.stringify({ network_key: Buffer.alloc(31).toString('base64') }))
    expect(() => readNetworkKeySeed(path)).toThrow(malformed(/network_key: expected 44 characters/))
    writeFileSync(path, JSON.stringify({ networkKey: '' }))
    expect(() => readNetworkKeySeed(path)).toThrow(malformed(/network_key/))
  })
})
