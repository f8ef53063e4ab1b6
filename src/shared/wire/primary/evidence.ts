/**
 * Evidence: two records that together show that a key has signed what its owner must not, or that it is used elsewhere. It
 * stands by itself: whoever has the committee file can verify it (`verify-evidence.ts`).
 *
 * ```
 *  0     1      2      4         6     8         16       24                 56            60
 *  ├ 1 ──┼ 17 ──┼ kind ┼ accused ┼ 0 0 ┼ epoch ──┼ round ─┼ committee digest ┼ first bytes ┼ first record ‖ second record ┤
 *  version kind   u16    u16             u64       u64      32                 u32
 *
 *  kind  1  headers       two headers of the accused and one round
 *        2  certificates  two certificates of one author, who is the accused, and one round
 *        3  own-key       a certificate with a signature of the accused that its own store does not have, and its own header
 *                         or vote of that author and round, or nothing
 *        4  checkpoints   a checkpoint that the accused has signed, and another one of that commit, which the accused has
 *                         signed as well, or a quorum has
 * ```
 *
 * `round` is that of both records, of checkpoints the index of their commit. Decoding checks the form of the head and no more.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES } from '../../constants.js'
import { EVIDENCE_BYTES_MAX, EVIDENCE_HEAD_BYTES } from './limits.js'
import * as record from './record.js'

export const EVIDENCE_KINDS = { headers: 1, certificates: 2, 'own-key': 3, checkpoints: 4 } as const
export type EvidenceKind = keyof typeof EVIDENCE_KINDS
const KINDS = Object.keys(EVIDENCE_KINDS) as EvidenceKind[]

const KIND_AT = 2
const ACCUSED_AT = 4
const EPOCH_AT = 8
const ROUND_AT = 16
const COMMITTEE_AT = 24
const FIRST_BYTES_AT = COMMITTEE_AT + DIGEST_BYTES

export interface Evidence {
  readonly kind: EvidenceKind
  /** The index of the authority whose key has signed both; of certificates, the author of their headers. */
  readonly accused: number
  readonly epoch: number
  readonly round: number
  /** The committee's digest, 32 bytes. */
  readonly committee: Uint8Array
  /** Records as they came. The second may be empty. */
  readonly first: Uint8Array
  readonly second: Uint8Array
}

/** The kind of a number; undefined if there is none. */
export function evidenceKindOf(number: number): EvidenceKind | undefined {
  return KINDS.find((name) => EVIDENCE_KINDS[name] === number)
}

export function encodeEvidence({ accused, committee, epoch, first, kind, round, second }: Evidence): Uint8Array {
  const secondAt = EVIDENCE_HEAD_BYTES + first.length
  assert(secondAt + second.length <= EVIDENCE_BYTES_MAX, 'evidence within its limit')
  const bytes = new Uint8Array(secondAt + second.length)
  const view = new DataView(bytes.buffer)
  bytes.set([record.RECORD_VERSION, record.EVIDENCE_KIND])
  view.setUint16(KIND_AT, EVIDENCE_KINDS[kind], true)
  record.writeAuthority(view, ACCUSED_AT, accused)
  record.writeWhole(view, EPOCH_AT, epoch)
  record.writeWhole(view, ROUND_AT, round)
  record.writeDigest(bytes, COMMITTEE_AT, committee)
  view.setUint32(FIRST_BYTES_AT, first.length, true)
  bytes.set(first, EVIDENCE_HEAD_BYTES)
  bytes.set(second, secondAt)
  return bytes
}

/**
 * @param bytes exactly one record
 * @param authorities how many there are in the committee
 * @throws NarvalError ERR_CODEC
 */
export function decodeEvidence(bytes: Uint8Array, authorities: number): Evidence {
  const view = record.open('evidence', bytes, EVIDENCE_HEAD_BYTES, EVIDENCE_BYTES_MAX)
  record.readZeros('evidence', bytes, 6, 2)
  const number = view.getUint16(KIND_AT, true)
  const kind = evidenceKindOf(number)
  if (kind === undefined) throw record.malformed('evidence', `kind ${number}, expected 1 to ${KINDS.length}`)
  const secondAt = EVIDENCE_HEAD_BYTES + view.getUint32(FIRST_BYTES_AT, true)
  if (secondAt > bytes.length) {
    throw record.malformed('evidence', `${bytes.length} bytes, and the first record ends at ${secondAt}`)
  }
  return {
    kind,
    accused: record.readAuthority('evidence', view, ACCUSED_AT, 'accused', authorities),
    epoch: record.readWhole('evidence', view, EPOCH_AT, 'epoch'),
    round: record.readWhole('evidence', view, ROUND_AT, 'round'),
    committee: record.readBytes(bytes, COMMITTEE_AT, DIGEST_BYTES),
    first: record.readBytes(bytes, EVIDENCE_HEAD_BYTES, secondAt - EVIDENCE_HEAD_BYTES),
    second: record.readBytes(bytes, secondAt, bytes.length - secondAt),
  }
}

/** The committee that evidence is about, whatever else it says; for evidence that has a head. */
export function committeeOfEvidence(bytes: Uint8Array): Uint8Array {
  record.open('evidence', bytes, EVIDENCE_HEAD_BYTES, EVIDENCE_BYTES_MAX)
  return record.readBytes(bytes, COMMITTEE_AT, DIGEST_BYTES)
}
