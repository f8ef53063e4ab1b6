import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { committeeDigest, parseCommittee } from '../../../../src/shared/config/committee.js'
import { localCommittee } from '../../../../src/shared/config/committee-file.js'
import { verifyingCommittee } from '../../../../src/shared/config/verifying-committee.js'
import { NarvalError } from '../../../../src/shared/errors.js'
import { decodeEvidence, encodeEvidence } from '../../../../src/shared/wire/primary/evidence.js'
import { EVIDENCE_HEAD_BYTES } from '../../../../src/shared/wire/primary/limits.js'
import { type EvidenceVerdict, verifyEvidence } from '../../../../src/shared/wire/primary/verify-evidence.js'

interface Vector {
  readonly name: string
  readonly record: string
  /** Authorities that it convicts; null if it is not valid. */
  readonly convicted: readonly number[] | null
}

const file = resolve(import.meta.dirname, '../../../vectors/evidence.json')
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  names: readonly string[]
  committee_digest: string
  evidence: readonly Vector[]
}
const COMMITTEE = parseCommittee(localCommittee(vectors.names, 1, 4_000))
const VERIFYING = verifyingCommittee(COMMITTEE)
const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const verdictOf = (record: Uint8Array): EvidenceVerdict =>
  verifyEvidence(decodeEvidence(record, COMMITTEE.size), VERIFYING)

test('the committee of the vectors is the one that they say', () => {
  expect(Buffer.from(committeeDigest(COMMITTEE)).toString('hex')).toBe(vectors.committee_digest)
})

describe.each(vectors.evidence.map((vector) => [vector.name, vector] as const))('the vector "%s"', (_, vector) => {
  const record = unhex(vector.record)

  test('is what is written', () => {
    expect(encodeEvidence(decodeEvidence(record, COMMITTEE.size))).toEqual(record)
  })

  test('is verified as it should be', () => {
    const verdict = verdictOf(record)
    if (vector.convicted === null) expect(verdict).toEqual({ isValid: false, why: expect.any(String) })
    else expect(verdict).toEqual({ isValid: true, convicted: vector.convicted })
  })
})

describe('evidence', () => {
  test('of which any byte is another convicts nobody else, and is mostly refused', () => {
    for (const { convicted, record } of vectors.evidence.filter(({ convicted }) => convicted !== null)) {
      const whole = unhex(record)
      let refused = 0
      let tried = 0
      for (let at = 0; at < whole.length; at += 7) {
        const changed = Uint8Array.from(whole)
        changed[at]! ^= 1
        tried += 1
        try {
          const verdict = verdictOf(changed)
          if (!verdict.isValid) refused += 1
          else expect(convicted, `byte ${at}`).toEqual(expect.arrayContaining([...verdict.convicted]))
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CODEC' })
          refused += 1
        }
      }
      expect(refused / tried).toBeGreaterThan(0.95)
    }
  })

  test('that is cut off anywhere is refused', () => {
    const whole = unhex(vectors.evidence[0]!.record)
    for (let length = 0; length < whole.length; length += 5) {
      const cut = whole.subarray(0, length)
      const read = (): boolean => verdictOf(cut).isValid
      if (length < EVIDENCE_HEAD_BYTES) expect(read).toThrow(NarvalError)
      else expect(isRefused(read)).toBe(true)
    }
  })

  test('of any bytes is read or refused as malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => {
        const bytes = Uint8Array.from([1, 17, ...tail])
        expect(isRefused(() => verdictOf(bytes).isValid)).toBe(true)
      }),
    )
  })
})

function isRefused(read: () => boolean): boolean {
  try {
    return !read()
  } catch (error) {
    if (error instanceof NarvalError && error.code === 'ERR_CODEC') return true
    throw error
  }
}
