/** A committee as the verification of evidence needs it. */
import { type Verify, verifier } from '../crypto/ed25519.js'
import type { EvidenceCommittee } from '../wire/primary/verify-evidence.js'
import { type Committee, committeeDigest } from './committee.js'

export function evidenceCommittee(committee: Committee): EvidenceCommittee {
  const verifiers: Verify[] = committee.authorities.map(({ publicKey }) => verifier(publicKey))
  return {
    authorities: committee.size,
    digest: committeeDigest(committee),
    quorum: committee.quorumThreshold,
    stakeOf: (authority) => committee.stakeOf(authority),
    verify: (authority, message, signature) => verifiers[authority]!(message, signature),
  }
}
