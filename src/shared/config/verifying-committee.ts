/** A committee as the verification of evidence and of checkpoints needs it. */
import { type Verify, verifier } from '../crypto/ed25519.js'
import type { CheckpointCommittee } from '../wire/primary/verify-checkpoint.js'
import type { EvidenceCommittee } from '../wire/primary/verify-evidence.js'
import { type Committee, committeeDigest } from './committee.js'

export function verifyingCommittee(committee: Committee): EvidenceCommittee & CheckpointCommittee {
  const verifiers: Verify[] = committee.authorities.map(({ publicKey }) => verifier(publicKey))
  return {
    authorities: committee.size,
    digest: committeeDigest(committee),
    quorum: committee.quorumThreshold,
    stakes: committee.authorities.map(({ stake }) => stake),
    stakeOf: (authority) => committee.stakeOf(authority),
    verify: (authority, message, signature) => verifiers[authority]!(message, signature),
  }
}
