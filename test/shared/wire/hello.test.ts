import * as fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import {
  HELLO_ADDRESSES_MAX,
  HELLO_AHEAD_MS_MAX,
  HELLO_BYTES_MAX,
  HELLO_STRING_CHARS_MAX,
} from '../../../src/shared/constants.js'
import { signer } from '../../../src/shared/crypto/ed25519.js'
import { ACK_LEVELS } from '../../../src/shared/wire/ack.js'
import { decodeHello, encodeHello, type HelloRecord, verifyHello } from '../../../src/shared/wire/hello.js'
import { checkHello, type HelloExpectations, type HelloRefusal } from '../../../src/shared/wire/hello-check.js'
import { primaryAgreement } from '../../../src/shared/wire/primary/agreement.js'

const packr = new Packr({ useRecords: false })
const keys = [1, 2, 3, 4, 5].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
const [ours, theirs, , , stranger] = keys as [(typeof keys)[0], (typeof keys)[0], unknown, unknown, (typeof keys)[0]]
const committee = parseCommittee(
  localCommittee(
    keys.slice(0, 4).map(({ name }) => name),
    1,
    4000,
  ),
  'test',
)
const digest = committeeDigest(committee)
const theirIndex = committee.indexOf(theirs.publicKey)

const record: HelloRecord = {
  protocolVersion: 3,
  authority: theirs.publicKey,
  workerId: 0,
  peerId: '12D3KooWTheirs',
  addresses: ['/ip4/127.0.0.1/tcp/4004', '/dns4/worker.example.org/tcp/4004'],
  committeeDigest: digest,
  timeMs: 1_790_000_000_000,
  nodeVersion: 'narval/0.1.0',
  batchBytesMax: 500_000,
  ackLevel: ACK_LEVELS.durable,
}

const expectations: HelloExpectations = {
  committee,
  committeeDigest: digest,
  workerId: 0,
  connectionPeerId: '12D3KooWTheirs',
  ownAuthority: ours.publicKey,
  protocolVersion: 3,
  batchBytesMax: 500_000,
  nowMs: record.timeMs,
  namedPeerId: () => undefined,
  lastSeenTimeMs: () => undefined,
}

const codec = expect.objectContaining({ code: 'ERR_CODEC' })
const hello = (changes: Partial<HelloRecord> = {}, by = theirs): Uint8Array =>
  encodeHello({ ...record, ...changes }, signer(by.seed))

/** A hello with the fields of its record replaced by anything, or its bytes by others, signed as it should be. */
function handmade(
  change: (fields: unknown[]) => unknown,
  changeBytes: (record: Uint8Array) => Uint8Array = (bytes) => bytes,
): Uint8Array {
  const fields = packr.unpack(Buffer.from(decodeHello(hello()).recordBytes)) as unknown[]
  const recordBytes = changeBytes(packr.pack(change(fields)))
  const message = Buffer.concat([Buffer.from('narval/hello/v1'.padEnd(32, '\0')), recordBytes])
  return packr.pack({ record: recordBytes, signature: signer(theirs.seed)(message) })
}

function envelope(changeBytes: (record: Uint8Array) => Uint8Array): Uint8Array {
  return handmade((fields) => fields, changeBytes)
}

/** The record with these bytes in it as a typed array, which msgpackr has an extension for. */
function asExtension(record: Uint8Array, field: Uint8Array): Uint8Array {
  const at = Buffer.from(record).indexOf(field) - 2
  const extension = Buffer.concat([Buffer.from([0xc7, field.length + 1, 0x74, 1]), field])
  return Buffer.concat([record.subarray(0, at), extension, record.subarray(at + 2 + field.length)])
}

function refusal(bytes: Uint8Array, changes: Partial<HelloExpectations> = {}): HelloRefusal | 'accepted' {
  const verdict = checkHello(bytes, { ...expectations, ...changes })
  if (verdict.ok) return 'accepted'
  expect(verdict.detail).toMatch(/^[\x20-\x7e]+$/)
  return verdict.reason
}

describe('a hello that is as it should be', () => {
  test('is accepted, with the authority’s index and the record', () => {
    expect(checkHello(hello(), expectations)).toEqual({ ok: true, index: theirIndex, record })
  })

  test('carries the exact bytes that were signed, behind the domain tag', () => {
    const { recordBytes, signature } = decodeHello(hello())
    const message = Buffer.concat([Buffer.from('narval/hello/v1'.padEnd(32, '\0')), recordBytes])
    expect(signature).toEqual(signer(theirs.seed)(message))
    expect(recordBytes).toEqual(
      new Uint8Array(
        packr.pack([
          3,
          theirs.publicKey,
          0,
          record.peerId,
          record.addresses,
          digest,
          BigInt(record.timeMs),
          record.nodeVersion,
          500_000,
          2,
        ]),
      ),
    )
  })

  test('survives a round trip, whatever is in it', () => {
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 60 })
    const records = fc.record({
      protocolVersion: fc.nat(),
      authority: fc.constant(theirs.publicKey),
      workerId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      peerId: text,
      addresses: fc.array(text, { maxLength: HELLO_ADDRESSES_MAX }),
      committeeDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      timeMs: fc.maxSafeNat(),
      nodeVersion: text,
      batchBytesMax: fc.nat(),
      ackLevel: fc.constantFrom(ACK_LEVELS.stored, ACK_LEVELS.durable),
    })
    fc.assert(
      fc.property(records, (any) => {
        const decoded = decodeHello(encodeHello(any, signer(theirs.seed)))
        expect(decoded.record).toEqual(any)
        expect(verifyHello(decoded)).toBe(true)
      }),
    )
  })

  test('packed by another implementation, with other integer and string forms, is accepted', () => {
    // The worker id and the batch size as 64-bit integers.
    expect(
      refusal(handmade((fields) => fields.map((field, i) => (i === 2 || i === 8 ? BigInt(Number(field)) : field)))),
    ).toBe('accepted')
    // The map with a count of two bytes or four, as some libraries write every map.
    const { recordBytes, signature } = decodeHello(hello())
    const pairs = [packr.pack('record'), packr.pack(recordBytes), packr.pack('signature'), packr.pack(signature)]
    for (const head of ['82', 'de0002', 'df00000002']) {
      expect(refusal(Buffer.concat([Buffer.from(head, 'hex'), ...pairs])), head).toBe('accepted')
    }
  })
})

describe('a hello is refused', () => {
  test('as malformed: no MessagePack, another shape, too much of it', () => {
    const malformed = [
      new Uint8Array(0),
      Buffer.from('c1', 'hex'),
      Buffer.from('ddffffffff', 'hex'),
      Buffer.from('dfffffffff', 'hex'),
      packr.pack(null),
      packr.pack([]),
      packr.pack({ record: new Uint8Array(8) }),
      packr.pack({ record: 'x', signature: new Uint8Array(64) }),
      packr.pack({ ...(packr.unpack(hello()) as object), extra: 1 }),
      packr.pack({ ...(packr.unpack(hello()) as object), signature: new Uint8Array(63) }),
      Buffer.concat([hello(), Buffer.alloc(1)]),
      envelope((recordBytes) => Buffer.concat([recordBytes, Buffer.alloc(1)])),
      // A key twice: libraries take the last.
      Buffer.concat([Buffer.from([0x83]), hello().subarray(3), packr.pack('record'), packr.pack(new Uint8Array(1))]),
      // The keys the other way round.
      packr.pack(Object.fromEntries(Object.entries(packr.unpack(hello()) as object).reverse())),
      // A field as an extension of msgpackr's own, which it would read as bytes.
      envelope((recordBytes) => asExtension(recordBytes, theirs.publicKey)),
      new Uint8Array(HELLO_BYTES_MAX + 1),
      handmade((fields) => fields.slice(0, 9)),
      handmade((fields) => [...fields, 0]),
      handmade((fields) => ({ ...fields })),
    ]
    for (const bytes of malformed) {
      expect(() => decodeHello(bytes), Buffer.from(bytes).toString('hex')).toThrow(codec)
      expect(refusal(bytes)).toBe('malformed')
    }
  })

  test('as malformed: a field of another type or over its limit', () => {
    const wrong: [number, unknown][] = [
      [0, -1],
      [0, '1'],
      [1, new Uint8Array(31)],
      [1, 'x'.repeat(32)],
      [2, -1],
      [2, 2 ** 32],
      [2, 0.5],
      [3, 7],
      [3, 'p'.repeat(HELLO_STRING_CHARS_MAX + 1)],
      [3, 'line\nbreak'],
      [3, 'é'],
      [4, 'x'],
      [4, [7]],
      [4, ['a'.repeat(HELLO_STRING_CHARS_MAX + 1)]],
      [4, new Array(HELLO_ADDRESSES_MAX + 1).fill('/x')],
      [5, new Uint8Array(33)],
      [6, -1],
      [6, Number.NaN],
      [6, record.timeMs],
      [6, 2n ** 63n],
      [7, null],
      [7, '\u001b[2J'],
      [8, -1],
      [8, '500000'],
      [8, 2n ** 63n],
      [9, 0],
      [9, 3],
      [9, 'durable'],
    ]
    for (const [field, value] of wrong) {
      const bytes = handmade((fields) => fields.map((own, i) => (i === field ? value : own)))
      expect(() => decodeHello(bytes), `${field}: ${String(value)}`).toThrow(codec)
      if (field !== 0) expect(refusal(bytes)).toBe('malformed')
    }
  })

  test('as malformed when it is truncated anywhere', () => {
    const bytes = hello()
    for (let length = 0; length < bytes.length; length++) expect(refusal(bytes.subarray(0, length))).toBe('malformed')
  })

  test('as bad-signature: signed by another key, or without the domain tag', () => {
    expect(refusal(hello({}, stranger))).toBe('bad-signature')
    expect(refusal(hello({}, ours))).toBe('bad-signature')
    const { recordBytes } = decodeHello(hello())
    expect(refusal(packr.pack({ record: recordBytes, signature: signer(theirs.seed)(recordBytes) }))).toBe(
      'bad-signature',
    )
  })

  test('as not-in-committee, even when well signed', () => {
    expect(refusal(hello({ authority: stranger.publicKey }, stranger))).toBe('not-in-committee')
  })

  test('as self', () => {
    expect(refusal(hello({ authority: ours.publicKey }, ours))).toBe('self')
  })

  test('as wrong-worker-id', () => {
    expect(refusal(hello({ workerId: 1 }))).toBe('wrong-worker-id')
    expect(refusal(hello({ workerId: 'primary' }))).toBe('wrong-worker-id')
    expect(refusal(hello(), { workerId: 'primary' })).toBe('wrong-worker-id')
    expect(refusal(hello({ workerId: 'primary' }), { workerId: 'primary' })).toBe('accepted')
  })

  test('as wrong-committee, a primary with another rule or gc_depth', () => {
    const agreement = primaryAgreement(digest, 'shoal', 50)
    const to = { workerId: 'primary', committeeDigest: agreement } as const
    expect(refusal(hello(to), to)).toBe('accepted')
    for (const other of [
      primaryAgreement(digest, 'tusk', 50),
      primaryAgreement(digest, 'shoal', 51),
      primaryAgreement(new Uint8Array(32), 'shoal', 50),
      digest,
    ]) {
      expect(refusal(hello({ ...to, committeeDigest: other }), to)).toBe('wrong-committee')
    }
  })

  test('as wrong-committee', () => {
    expect(refusal(hello({ committeeDigest: new Uint8Array(32) }))).toBe('wrong-committee')
  })

  test('as wrong-peer-id when it was taken from another’s connection', () => {
    expect(refusal(hello(), { connectionPeerId: '12D3KooWMallory' })).toBe('wrong-peer-id')
  })

  test('as peer-id-not-as-named by the committee file, for this authority', () => {
    const namedPeerId = (index: number) => (index === theirIndex ? '12D3KooWNamed' : '12D3KooWTheirs')
    expect(refusal(hello(), { namedPeerId })).toBe('peer-id-not-as-named')
    expect(refusal(hello(), { namedPeerId: () => '12D3KooWTheirs' })).toBe('accepted')
  })

  test('as stale when another PeerId is known with a record at least as new', () => {
    const seen = (peerId: string, timeMs: number): Partial<HelloExpectations> => ({
      lastSeenTimeMs: (index) => (index === theirIndex ? { peerId, timeMs } : undefined),
    })
    expect(refusal(hello(), seen('12D3KooWOther', record.timeMs + 1))).toBe('stale')
    expect(refusal(hello(), seen('12D3KooWOther', record.timeMs))).toBe('stale')
    expect(refusal(hello(), seen('12D3KooWOther', record.timeMs - 1))).toBe('accepted')
    // The same PeerId whose clock was set back is the same worker.
    expect(refusal(hello(), seen('12D3KooWTheirs', record.timeMs + 1))).toBe('accepted')
  })

  test('as time-ahead when it is dated so far ahead of our clock that it would shut out a later key, and not for less', () => {
    expect(refusal(hello(), { nowMs: record.timeMs - HELLO_AHEAD_MS_MAX - 1 })).toBe('time-ahead')
    expect(refusal(hello({ timeMs: Number.MAX_SAFE_INTEGER }))).toBe('time-ahead')
    expect(refusal(hello(), { nowMs: record.timeMs - HELLO_AHEAD_MS_MAX })).toBe('accepted')
    // However old it is: a clock that is behind harms nobody.
    expect(refusal(hello({ timeMs: 0 }))).toBe('accepted')
  })

  test('as protocol-version, also when another version has another layout', () => {
    expect(refusal(hello({ protocolVersion: 4 }))).toBe('protocol-version')
    expect(refusal(handmade(([, ...rest]) => [4, ...rest, 'new field']))).toBe('protocol-version')
    // Version 2 has the same record, and another digest of batches.
    const verdict = checkHello(hello({ protocolVersion: 2 }), expectations)
    expect(verdict).toMatchObject({
      reason: 'protocol-version',
      detail: 'they speak version 2, we speak 3',
      index: theirIndex,
    })
    // The record of version 1 had eight fields.
    expect(refusal(handmade(([, ...rest]) => [1, ...rest.slice(0, 7)]))).toBe('protocol-version')
  })

  test('as wrong-batch-size when its batches or ours would be refused, with both values', () => {
    for (const theirs of [499_999, 500_001]) {
      const verdict = checkHello(hello({ batchBytesMax: theirs }), expectations)
      expect(verdict).toMatchObject({ ok: false, reason: 'wrong-batch-size', index: theirIndex })
      expect(verdict).toHaveProperty('detail', expect.stringMatching(new RegExp(`${theirs}.*500000.*batch_size`)))
    }
  })

  test('with whose it is, if that is certain', () => {
    const indexOf = (bytes: Uint8Array, changes: Partial<HelloExpectations> = {}) => {
      const verdict = checkHello(bytes, { ...expectations, ...changes })
      return verdict.ok ? undefined : verdict.index
    }
    expect(indexOf(hello({ committeeDigest: new Uint8Array(32) }))).toBe(theirIndex)
    expect(indexOf(hello({ protocolVersion: 4 }))).toBe(theirIndex)
    // Anybody can show a hello that they were told, and name a key in one of their own.
    const elsewhere = { connectionPeerId: '12D3KooWMallory' }
    expect(indexOf(hello({ committeeDigest: new Uint8Array(32) }), elsewhere)).toBeUndefined()
    expect(indexOf(hello({ committeeDigest: new Uint8Array(32) }, stranger))).toBeUndefined()
  })

  test('by its signature before anything in it but the key is believed', () => {
    const everythingWrong = { protocolVersion: 4, workerId: 1, committeeDigest: new Uint8Array(32), peerId: 'x' }
    expect(refusal(hello(everythingWrong, stranger))).toBe('bad-signature')
  })
})

test('a hello with any one byte changed is refused, whatever it is changed to', () => {
  const bytes = hello()
  for (let i = 0; i < bytes.length; i++) {
    const changed = new Uint8Array(bytes)
    changed[i]! ^= 1 << (i % 8)
    expect(refusal(changed), `byte ${i}`).not.toBe('accepted')
  }
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const changed = new Uint8Array(bytes)
      changed[at]! ^= by
      expect(refusal(changed)).not.toBe('accepted')
    }),
    { numRuns: 500 },
  )
})

test('any bytes whatever are refused, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(refusal(bytes)).toBe('malformed')
    }),
  )
})

test('a record that decoding would refuse is not encoded', () => {
  const long = new Array(HELLO_ADDRESSES_MAX).fill('/'.padEnd(HELLO_STRING_CHARS_MAX, 'a'))
  expect(() => hello({ addresses: long })).toThrow(codec)
  expect(() => hello({ addresses: new Array(HELLO_ADDRESSES_MAX + 1).fill('/a') })).toThrow(codec)
  expect(() => hello({ nodeVersion: 'é' })).toThrow(codec)
})
