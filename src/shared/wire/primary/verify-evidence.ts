/** Whether evidence shows what it says. The committee's digest, stakes and keys are enough: no store, no network. */
import { NarvalError } from '../../errors.js'
import { type CertifiedHeader, decodeCertificate } from './certificate.js'
import {
  type Checkpoint,
  type CheckpointSignature,
  checkpointMessage,
  decodeAttestedCheckpoint,
  decodeSignedCheckpoint,
  isSameCheckpoint,
} from './checkpoint.js'
import type { Evidence, EvidenceKind } from './evidence.js'
import { decodeHeader, headerSignatureMessage, type SignedHeader } from './header.js'
import { headerId } from './header-id.js'
import { compareBytes, kindOf } from './record.js'
import { decodeVote, voteMessage } from './vote.js'

/** The part of a committee that is needed. */
export interface EvidenceCommittee {
  readonly authorities: number
  /** 32 bytes. */
  readonly digest: Uint8Array
  readonly quorum: number
  readonly stakeOf: (authority: number) => number
  readonly verify: (authority: number, message: Uint8Array, signature: Uint8Array) => boolean
}

export type EvidenceVerdict =
  | {
      readonly isValid: true
      /** Authorities whose keys have signed both of what excludes each other; none if there is nothing to compare with. */
      readonly convicted: readonly number[]
    }
  | { readonly isValid: false; readonly why: string }

/** What is wrong with evidence. */
class Invalid extends Error {}

export function verifyEvidence(evidence: Evidence, committee: EvidenceCommittee): EvidenceVerdict {
  try {
    demand(compareBytes(evidence.committee, committee.digest) === 0, 'it is about another committee')
    demand(evidence.accused < committee.authorities, `there is no authority ${evidence.accused}`)
    return { isValid: true, convicted: CHECKS[evidence.kind](evidence, committee) }
  } catch (error) {
    const isProblem = error instanceof Invalid || (error instanceof NarvalError && error.code === 'ERR_CODEC')
    if (!isProblem) throw error
    return { isValid: false, why: error.message }
  }
}

/** Each returns the authorities that it convicts, ascending, or throws what is wrong. */
const CHECKS: Readonly<Record<EvidenceKind, (evidence: Evidence, committee: EvidenceCommittee) => number[]>> = {
  headers: ({ accused, epoch, first, round, second }, committee) => {
    const [a, b] = [first, second].map((bytes) => {
      const header = decodeHeader(bytes, committee.authorities)
      demandPlace(header, accused, epoch, round)
      demandSignature(header, committee)
      return header
    })
    demandDifferent(a!, b!, committee)
    return [accused]
  },

  certificates: ({ accused, epoch, first, round, second }, committee) => {
    const [a, b] = [first, second].map((bytes) => {
      const certificate = decodeCertificate(bytes, committee.authorities)
      demandPlace(certificate.header, accused, epoch, round)
      demandCertificate(certificate, committee)
      return certificate
    })
    demandDifferent(a!.header, b!.header, committee)
    const both = a!.votes.map(({ voter }) => voter).filter((voter) => b!.votes.some((vote) => vote.voter === voter))
    return ascending([accused, ...both])
  },

  'own-key': ({ accused, epoch, first, round, second }, committee) => {
    const certificate = decodeCertificate(first, committee.authorities)
    const { header } = certificate
    demandPlace(header, header.author, epoch, round)
    demandCertificate(certificate, committee)
    const isSigner = header.author === accused || certificate.votes.some(({ voter }) => voter === accused)
    demand(isSigner, `authority ${accused} has not signed the certificate`)
    if (second.length === 0) return []
    if (kindOf(second) === 'header') {
      const own = decodeHeader(second, committee.authorities)
      demandPlace(own, accused, epoch, round)
      demand(header.author === accused, 'the header and the certificate are of different authors')
      demandSignature(own, committee)
      demandDifferent(own, header, committee)
    } else demandOtherVote(second, certificate, accused, committee)
    return [accused]
  },

  checkpoints: ({ accused, epoch, first, round, second }, committee) => {
    const signed = decodeSignedCheckpoint(first, committee.authorities)
    demandCheckpoint(signed, [signed], { epoch, index: round }, committee)
    demand(signed.signer === accused, `the first checkpoint is of authority ${signed.signer}`)
    const isOwn = kindOf(second) === 'signed-checkpoint'
    const own = isOwn ? decodeSignedCheckpoint(second, committee.authorities) : undefined
    const other = own ?? decodeAttestedCheckpoint(second, committee.authorities)
    const signatures = 'signatures' in other ? other.signatures : [other]
    demandCheckpoint(other, signatures, { epoch, index: round }, committee)
    if (own !== undefined) demand(own.signer === accused, `the second checkpoint is of authority ${own.signer}`)
    else {
      const stake = signatures.reduce((sum, { signer }) => sum + committee.stakeOf(signer), 0)
      demand(stake >= committee.quorum, `a checkpoint has ${stake} of the stake, of ${committee.quorum}`)
    }
    demand(!isSameCheckpoint(signed, other), 'both checkpoints say the same')
    return [accused]
  },
}

function demandCheckpoint(
  checkpoint: Checkpoint,
  signatures: readonly CheckpointSignature[],
  place: Pick<Checkpoint, 'epoch' | 'index'>,
  committee: EvidenceCommittee,
): void {
  const isThere = checkpoint.epoch === place.epoch && checkpoint.index === place.index
  demand(isThere, `a checkpoint is of commit ${checkpoint.index} in epoch ${checkpoint.epoch}`)
  const message = checkpointMessage(committee.digest, checkpoint)
  for (const { signature, signer } of signatures) {
    demand(committee.verify(signer, message, signature), `the checkpoint of authority ${signer} is not valid`)
  }
}

/** A vote of `voter` for another header of the author and round of the certificate, which it voted for as well. */
function demandOtherVote(
  bytes: Uint8Array,
  { header, votes }: CertifiedHeader,
  voter: number,
  committee: EvidenceCommittee,
): void {
  const vote = decodeVote(bytes, committee.authorities)
  demandPlace(vote, header.author, header.epoch, header.round)
  demand(vote.voter === voter, `the vote is of authority ${vote.voter}`)
  demand(
    votes.some((other) => other.voter === voter),
    `the certificate has no vote of authority ${voter}`,
  )
  const isValid = committee.verify(voter, voteMessage(committee.digest, vote), vote.signature)
  demand(isValid, `the signature of the vote of authority ${voter} is not valid`)
  demand(compareBytes(vote.headerId, headerId(committee.digest, header)) !== 0, 'both are for the same header')
}

function demandPlace(
  found: Pick<SignedHeader, 'author' | 'epoch' | 'round'>,
  author: number,
  epoch: number,
  round: number,
): void {
  const isThere = found.author === author && found.epoch === epoch && found.round === round
  demand(isThere, `a record is of authority ${found.author} in round ${found.round} of epoch ${found.epoch}`)
}

function demandSignature(header: SignedHeader, committee: EvidenceCommittee): void {
  const message = headerSignatureMessage(headerId(committee.digest, header))
  const isValid = committee.verify(header.author, message, header.signature)
  demand(isValid, `the signature of a header of authority ${header.author} is not valid`)
}

/** The header's signature, and valid votes of a quorum. */
function demandCertificate({ header, votes }: CertifiedHeader, committee: EvidenceCommittee): void {
  const { author, epoch, round } = header
  const stake = votes.reduce((sum, { voter }) => sum + committee.stakeOf(voter), 0)
  demand(stake >= committee.quorum, `a certificate has votes with ${stake} of the stake, of ${committee.quorum}`)
  demandSignature(header, committee)
  const message = voteMessage(committee.digest, { author, epoch, round, headerId: headerId(committee.digest, header) })
  for (const { signature, voter } of votes) {
    demand(committee.verify(voter, message, signature), `the vote of authority ${voter} is not valid`)
  }
}

function demandDifferent(a: SignedHeader, b: SignedHeader, { digest }: EvidenceCommittee): void {
  demand(compareBytes(headerId(digest, a), headerId(digest, b)) !== 0, 'both are the same header')
}

function ascending(authorities: readonly number[]): number[] {
  return [...new Set(authorities)].sort((a, b) => a - b)
}

function demand(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Invalid(why)
}
