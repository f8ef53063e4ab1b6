/** The committee's keys, each parsed once, and ours; it counts what it does. */
import { type Sign, signer, type Verify, verifier } from '../../shared/crypto/ed25519.js'
import type { Keys, SignatureCheck } from './signatures.js'

export class Ed25519Keys implements Keys {
  /** Signatures that were verified and made. */
  verified = 0
  signed = 0
  private readonly signWith: Sign
  private readonly verifiers: readonly Verify[]

  /** @param publicKeys by authority index */
  constructor(seed: Uint8Array, publicKeys: readonly Uint8Array[]) {
    this.signWith = signer(seed)
    this.verifiers = publicKeys.map(verifier)
  }

  sign(message: Uint8Array): Uint8Array {
    this.signed += 1
    return this.signWith(message)
  }

  /** Stops at the first that is not valid. */
  verify(checks: readonly SignatureCheck[]): boolean {
    return checks.every(({ authority, message, signature }) => {
      this.verified += 1
      return this.verifiers[authority]!(message, signature)
    })
  }
}
