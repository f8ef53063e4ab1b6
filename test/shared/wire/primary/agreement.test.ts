/** What primaries have alike before they speak, as docs/protocol.md draws it. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { primaryAgreement } from '../../../../src/shared/wire/primary/agreement.js'

const DIGEST = new Uint8Array(32).fill(0xcc)

test('what primaries agree on is the hash of the committee, gc_depth and the rule, as the drawing says', () => {
  const domain = Buffer.alloc(32)
  domain.write('narval/primary-agreement/v2')
  const depth = Buffer.alloc(8)
  depth.writeBigUInt64LE(50n)
  const drawn = createHash('sha256').update(domain).update(DIGEST).update(depth).update('shoal').digest()
  expect(Buffer.from(primaryAgreement(DIGEST, 'shoal', 50))).toEqual(drawn)
})

test('it changes with each of them', () => {
  const all = [
    primaryAgreement(DIGEST, 'shoal', 50),
    primaryAgreement(DIGEST, 'tusk', 50),
    primaryAgreement(DIGEST, 'shoal', 51),
    primaryAgreement(new Uint8Array(32), 'shoal', 50),
  ].map((bytes) => Buffer.from(bytes).toString('hex'))
  expect(new Set(all).size).toBe(all.length)
})
