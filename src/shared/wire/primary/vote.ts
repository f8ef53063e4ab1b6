/**
 * The vote of the dialect `narval`: its voter has the batches and the parents of a header, and will vote for no other
 * header of that author and round.
 *
 * ```
 *  0     1     2       4        6     8         16        24          56             120
 *  ├ 1 ──┼ 2 ──┼ voter ┼ author ┼ 0 0 ┼ epoch ──┼ round ──┼ header id ┼ signature ───┤
 *  version kind  u16     u16            u64       u64       32          64
 *
 *  signature  over "narval/vote/v1", zeros to 32 ‖ committee digest ‖ epoch u64 ‖ header id ‖ round u64 ‖ author u16
 * ```
 *
 * Epoch, round and author are in the header's id as well. They are signed in the clear so that a vote alone is evidence:
 * two of one voter for one author and round can be shown to anybody.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES, SIGNATURE_BYTES } from '../../constants.js'
import { VOTE_BYTES } from './limits.js'
import * as record from './record.js'

const DOMAIN = record.domain('narval/vote/v1')
const HEADER_ID_AT = 24
const SIGNATURE_AT = HEADER_ID_AT + DIGEST_BYTES

export interface VotedHeader {
  readonly epoch: number
  readonly round: number
  /** The index of the header's author. */
  readonly author: number
  /** 32 bytes. */
  readonly headerId: Uint8Array
}

export interface Vote extends VotedHeader {
  readonly voter: number
  /** 64 bytes. */
  readonly signature: Uint8Array
}

export function encodeVote(vote: Vote): Uint8Array {
  const bytes = new Uint8Array(VOTE_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS.vote])
  assert(vote.round >= 1, 'genesis is never voted for')
  assert(vote.signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes')
  record.writeAuthority(view, 2, vote.voter)
  record.writeAuthority(view, 4, vote.author)
  record.writeWhole(view, 8, vote.epoch)
  record.writeWhole(view, 16, vote.round)
  record.writeDigest(bytes, HEADER_ID_AT, vote.headerId)
  bytes.set(vote.signature, SIGNATURE_AT)
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeVote(bytes: Uint8Array, authorities: number): Vote {
  const view = record.open('vote', bytes, VOTE_BYTES, VOTE_BYTES)
  record.readZeros('vote', bytes, 6, 2)
  return {
    voter: record.readAuthority('vote', view, 2, 'voter', authorities),
    author: record.readAuthority('vote', view, 4, 'author', authorities),
    epoch: record.readWhole('vote', view, 8, 'epoch'),
    round: record.readWhole('vote', view, 16, 'round', 1),
    headerId: record.readBytes(bytes, HEADER_ID_AT, DIGEST_BYTES),
    signature: record.readBytes(bytes, SIGNATURE_AT, SIGNATURE_BYTES),
  }
}

/** What a voter signs. */
export function voteMessage(committeeDigest: Uint8Array, voted: VotedHeader): Uint8Array {
  const message = new Uint8Array(32 + DIGEST_BYTES + 8 + DIGEST_BYTES + 8 + 2)
  const view = new DataView(message.buffer)
  message.set(DOMAIN)
  record.writeDigest(message, 32, committeeDigest)
  record.writeWhole(view, 64, voted.epoch)
  record.writeDigest(message, 72, voted.headerId)
  record.writeWhole(view, 104, voted.round)
  record.writeAuthority(view, 112, voted.author)
  return message
}
