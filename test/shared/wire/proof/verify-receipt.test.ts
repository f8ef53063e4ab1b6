/** Proofs of receipts: what they show, and that nothing that was changed, swapped or left out shows anything. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { committeeDigest, parseCommittee } from '../../../../src/shared/config/committee.js'
import { sha256 } from '../../../../src/shared/wire/primary/sha256.js'
import { committeeOf } from '../../../../src/shared/wire/proof/committee-of.js'
import { RECEIPT_PROOF_BYTES_MAX } from '../../../../src/shared/wire/proof/limits.js'
import {
  decodeReceiptProof,
  encodeReceiptProof,
  type ReceiptProof,
} from '../../../../src/shared/wire/proof/receipt-proof.js'
import { receiptProofFromJson, receiptProofToJson } from '../../../../src/shared/wire/proof/receipt-proof-json.js'
import { verify } from '../../../../src/shared/wire/proof/verify-receipt.js'
import { encodeProof } from '../../../../src/shared/wire/proof-format.js'
import { handCommittee, handProof, handVerifier } from '../../../support/receipt-proofs.js'

const COMMITTEE = handCommittee([1, 2, 3, 4])
const VERIFIER = handVerifier(COMMITTEE)
const WHOLE = handProof(COMMITTEE)
const { availability: _, ...ORDER_ONLY } = WHOLE
const { order: __, ...AVAILABILITY_ONLY } = WHOLE
const ID = sha256(Buffer.from('second'))

const reasonOf = (proof: ReceiptProof | Uint8Array, committee = VERIFIER, id?: Uint8Array) => {
  const check = verify(committee, proof, id)
  return check.ok ? 'ok' : check.reason
}
const flipped = (bytes: Uint8Array, at: number, by: number): Uint8Array => {
  const changed = Uint8Array.from(bytes)
  changed[at]! ^= by
  return changed
}

describe('what is shown', () => {
  test('of a whole proof: the stage, the transaction, the batch, who voted, the place, and who signed', () => {
    const check = verify(VERIFIER, encodeReceiptProof(WHOLE), ID)
    if (!check.ok) throw new Error(check.reason)
    expect(check.receipt).toMatchObject({
      stage: 'attested',
      id: ID,
      batch: { author: 2 },
      certificate: { author: 2, round: 5, voters: [0, 1, 3] },
      place: { commit: 3, position: 1, chunk: 0, offset: 64 + 4 + 5 },
      timestamp: 1_790_000_000_003,
      checkpoint: { index: 37, signers: [0, 1, 3] },
    })
    expect(Buffer.from(check.receipt.transaction).toString()).toBe('second')
  })

  test('of the order alone: attested, and no votes; of availability alone: certified, and no place', () => {
    const [ordered, certified] = [ORDER_ONLY, AVAILABILITY_ONLY].map((proof) => {
      const check = verify(VERIFIER, encodeReceiptProof(proof), ID)
      if (!check.ok) throw new Error(check.reason)
      return check.receipt
    })
    expect(ordered).toMatchObject({ stage: 'attested', place: { commit: 3 } })
    expect(ordered).not.toHaveProperty('certificate')
    expect(certified).toMatchObject({ stage: 'certified', certificate: { round: 5 } })
    for (const name of ['place', 'timestamp', 'checkpoint']) expect(certified).not.toHaveProperty(name)
  })

  test('of each commit under a checkpoint, and of the checkpoint’s own', () => {
    for (const commit of [1, 2, 31, 32, 33, 36, 37]) expect(reasonOf(handProof(COMMITTEE, { commit }))).toBe('ok')
    expect(reasonOf(handProof(COMMITTEE, { commit: 1, commits: 1 }))).toBe('ok')
  })

  test('of long and short transactions anywhere in large batches', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { minLength: 1, maxLength: 40 }), fc.nat(), (lengths, which) => {
        const transactions = lengths.map((length, at) => Buffer.alloc(length + 2, at + 1))
        const index = which % transactions.length
        const check = verify(VERIFIER, encodeReceiptProof(handProof(COMMITTEE, { transactions, index })))
        expect(check.ok && Buffer.compare(check.receipt.transaction, transactions[index]!)).toBe(0)
      }),
      { numRuns: 15 },
    )
  })
})

describe('one form', () => {
  test('binary and JSON say the same, and nothing else', () => {
    for (const proof of [WHOLE, ORDER_ONLY, AVAILABILITY_ONLY]) {
      const bytes = encodeReceiptProof(proof)
      expect(encodeReceiptProof(decodeReceiptProof(bytes))).toEqual(bytes)
      const json = JSON.parse(JSON.stringify(receiptProofToJson(proof)))
      expect(encodeReceiptProof(receiptProofFromJson(json))).toEqual(bytes)
    }
  })

  test('whatever is cut off or hung on is refused', () => {
    const bytes = encodeReceiptProof(WHOLE)
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeReceiptProof(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'ERR_CODEC' }),
      )
    }
    for (const more of [1, 32, 64]) expect(reasonOf(Buffer.concat([bytes, Buffer.alloc(more)]))).toBe('malformed')
    expect(reasonOf(new Uint8Array(RECEIPT_PROOF_BYTES_MAX + 1))).toBe('malformed')
  })

  test('JSON of another shape is refused with ERR_CODEC: a field more, less, of another type, or base64 spelt otherwise', () => {
    const json = receiptProofToJson(WHOLE)
    const wrong: unknown[] = [
      null,
      [],
      'proof',
      {},
      { ...json, version: 2 },
      { ...json, more: 1 },
      { ...json, id: json.id.toUpperCase() },
      { ...json, id: json.id.slice(2) },
      { ...json, transaction: `${json.transaction} ` },
      { ...json, transaction: `${json.transaction.replace(/=*$/, '')}====` },
      { version: 1, id: json.id, transaction: json.transaction },
      { ...json, order: { ...json.order, position: -1 } },
      { ...json, order: { ...json.order, range: Array(1000).fill(json.order!.range[0]) } },
      { ...json, order: { ...json.order, range: ['AAAA'] } },
      { ...json, availability: { ...json.availability, entry: 1.5 } },
      { ...json, availability: { ...json.availability, certificate: '' } },
    ]
    for (const value of wrong) {
      expect(() => receiptProofFromJson(value)).toThrow(expect.objectContaining({ code: 'ERR_CODEC' }))
    }
  })
})

describe('what was altered shows nothing', () => {
  test('any byte of a whole proof, by any bit', () => {
    const bytes = encodeReceiptProof(WHOLE)
    expect(reasonOf(bytes)).toBe('ok')
    // Every byte once, by a bit that goes round.
    for (let at = 0; at < bytes.length; at += 1) {
      expect(reasonOf(flipped(bytes, at, 1 << (at % 8))), `byte ${at}`).not.toBe('ok')
    }
  }, 60_000)

  test('any byte of a proof of the order alone, and of availability alone, to any other value', () => {
    for (const proof of [ORDER_ONLY, AVAILABILITY_ONLY]) {
      const bytes = encodeReceiptProof(proof)
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
          expect(reasonOf(flipped(bytes, at, by))).not.toBe('ok')
        }),
        { numRuns: 150 },
      )
    }
  }, 60_000)

  test('any field, to that of another proof of the same committee', () => {
    const other = handProof(COMMITTEE, {
      transactions: ['a', 'b', 'c', 'd'].map((text) => Buffer.from(text)),
      index: 2,
      commit: 8,
      commits: 40,
    })
    expect(reasonOf(other)).toBe('ok')
    const swapped: ReceiptProof[] = [
      { ...WHOLE, id: other.id },
      { ...WHOLE, transaction: other.transaction },
      { ...WHOLE, id: other.id, transaction: other.transaction },
      { ...WHOLE, availability: other.availability! },
      { ...WHOLE, order: other.order! },
      { ...WHOLE, availability: { ...WHOLE.availability!, entry: 0 } },
      { ...WHOLE, availability: { ...WHOLE.availability!, entry: 2 } },
      { ...WHOLE, order: { ...WHOLE.order!, position: 0 } },
      { ...WHOLE, order: { ...WHOLE.order!, position: 2 } },
      { ...WHOLE, order: { ...WHOLE.order!, commit: other.order!.commit } },
      { ...WHOLE, order: { ...WHOLE.order!, range: other.order!.range } },
      { ...WHOLE, order: { ...WHOLE.order!, range: WHOLE.order!.range.slice(1) } },
      { ...WHOLE, order: { ...WHOLE.order!, range: [] } },
      { ...WHOLE, order: { ...WHOLE.order!, checkpoint: other.order!.checkpoint } },
    ]
    for (const [at, proof] of swapped.entries()) expect(reasonOf(proof), `swap ${at}`).not.toBe('ok')
  })

  test('the same batch under another header, which is none of the commit’s: parts', () => {
    // The same payload in a header of another epoch is another header.
    const { availability } = handProof(COMMITTEE, { headerEpoch: 1, epoch: 1 })
    expect(reasonOf({ ...AVAILABILITY_ONLY, availability: availability! })).toBe('ok')
    expect(reasonOf({ ...WHOLE, availability: availability! })).toBe('parts')
    expect(reasonOf(handProof(COMMITTEE, { headerEpoch: 1 }))).toBe('parts')
    expect(reasonOf(handProof(COMMITTEE, { checkpointEpoch: 1 }))).toBe('parts')
  })

  test('a proof of another transaction of the same batch is its own, and not the one that was asked for', () => {
    const other = handProof(COMMITTEE, { index: 2 })
    expect(reasonOf(other)).toBe('ok')
    expect(reasonOf(other, VERIFIER, ID)).toBe('id')
    // Its place alone does not make one of the other.
    const { frameOffset } = other.transaction
    expect(reasonOf({ ...WHOLE, transaction: { ...WHOLE.transaction, frameOffset } })).toBe('id')
  })
})

describe('a committee', () => {
  test('that is another refuses: other keys, other stakes, other workers', () => {
    expect(reasonOf(WHOLE, handVerifier(handCommittee([1, 2, 3, 5])))).not.toBe('ok')
    expect(reasonOf(WHOLE, handVerifier(handCommittee([1, 2, 3, 4], [1, 1, 1, 2])))).not.toBe('ok')
    expect(reasonOf(WHOLE, handVerifier(handCommittee([1, 2, 3, 4, 5])))).not.toBe('ok')
    const file = structuredClone(COMMITTEE.file)
    Object.assign(Object.values(file.authorities)[0]!, { workers: { 0: {} } })
    expect(reasonOf(WHOLE, committeeOf(file))).not.toBe('ok')
  })

  test('has a quorum of stake, not of heads: fewer refuse', () => {
    for (const voters of [[], [0], [0, 3]]) expect(reasonOf(handProof(COMMITTEE, { voters }))).toBe('quorum')
    for (const signers of [[], [1], [0, 3]]) expect(reasonOf(handProof(COMMITTEE, { signers }))).toBe('quorum')
    expect(reasonOf(handProof(COMMITTEE, { voters: [1, 2, 3], signers: [0, 1, 2, 3] }))).toBe('ok')
    // By authority index: keys are ordered, and stakes go with their keys.
    const weighty = handCommittee([1, 2, 3, 4], [10, 1, 1, 1])
    const verifier = handVerifier(weighty)
    const heavy = verifier.stakes.indexOf(10)
    const light = [0, 1, 2, 3].filter((at) => at !== heavy)
    expect(reasonOf(handProof(weighty, { voters: light, signers: light }), verifier)).toBe('quorum')
    expect(reasonOf(handProof(weighty, { voters: [heavy], signers: [heavy] }), verifier)).toBe('ok')
  })

  test('whose signers have no stake gives no quorum, even if somebody hands in such a committee', () => {
    const stakes = VERIFIER.stakes.map(() => 0)
    expect(reasonOf(WHOLE, { ...VERIFIER, stakes })).toBe('quorum')
    for (const stake of [0, -1, 1.5, 2 ** 32, '1', undefined]) {
      const file = structuredClone(COMMITTEE.file)
      Object.assign(Object.values(file.authorities)[0]!, { stake })
      expect(() => committeeOf(file)).toThrow(expect.objectContaining({ code: 'ERR_COMMITTEE_MALFORMED' }))
    }
  })

  test('a signature that is there twice, or for another signer, is refused', () => {
    const { checkpoint } = WHOLE.order!
    const twice = Uint8Array.from(checkpoint)
    // The second signature again in place of the third.
    twice.copyWithin(152 + 2 * 64, 152 + 64, 152 + 2 * 64)
    expect(reasonOf({ ...ORDER_ONLY, order: { ...WHOLE.order!, checkpoint: twice } })).toBe('signature')
    // Three signatures of two signers.
    const fewer = flipped(checkpoint, 120, 1)
    expect(reasonOf({ ...ORDER_ONLY, order: { ...WHOLE.order!, checkpoint: fewer } })).toBe('malformed')
    // Signers 0, 1 and 2, of whom the last one did not sign.
    const named = flipped(checkpoint, 120, 0b1100)
    expect(reasonOf({ ...ORDER_ONLY, order: { ...WHOLE.order!, checkpoint: named } })).toBe('signature')
  })

  test('has the same digest as on the node, and what is no committee is refused', () => {
    for (const seeds of [[1], [4, 3, 2, 1], [9, 8, 7, 6, 5, 4, 3]]) {
      const { file } = handCommittee(
        seeds,
        seeds.map((seed) => seed * 3),
      )
      expect(committeeOf(file).digest).toEqual(committeeDigest(parseCommittee(file)))
    }
    const [name] = Object.keys(COMMITTEE.file.authorities)
    const one = { stake: 1, workers: { 0: {} } }
    const wrong: unknown[] = [
      undefined,
      [],
      {},
      { authorities: {} },
      { authorities: { [`${name} `]: one } },
      { authorities: { AAAA: one } },
      { authorities: { [name!]: { ...one, workers: {} } } },
      { authorities: { [name!]: { ...one, workers: { '01': {} } } } },
      { authorities: { [name!]: null } },
    ]
    for (const file of wrong) {
      expect(() => committeeOf(file)).toThrow(expect.objectContaining({ code: 'ERR_COMMITTEE_MALFORMED' }))
    }
  })
})

test('anything at all is refused, and never thrown at', () => {
  const odd: unknown[] = [
    null,
    7,
    'x',
    [],
    {},
    { ...WHOLE, id: 'x' },
    { ...WHOLE, transaction: {} },
    { ...WHOLE, order: [] },
  ]
  for (const proof of odd) expect(reasonOf(proof as ReceiptProof)).toBe('malformed')
  const head = encodeReceiptProof(WHOLE).subarray(0, 64)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(reasonOf(bytes)).not.toBe('ok')
      expect(reasonOf(Buffer.concat([head, bytes]))).not.toBe('ok')
    }),
  )
})

test('a proof of a small transaction takes some 1.5 kB beside its part of the batch', () => {
  const bytes = encodeReceiptProof(WHOLE).length - encodeProof(WHOLE.transaction).length
  expect(bytes).toBeLessThan(1_500)
})
