/** The committee's keys, each parsed once, and ours; it counts what it does. */
import { type Sign, signer, type Verify, verifier } from '../../shared/crypto/ed25519.js'
import type { Keys, SignatureCheck } from './signatures.js'

export class Ed25519Keys implements Keys {
  /** Signatures that were verified and made. */
  verified = 0
  signed = 0
  /** What they took, in ms. */
  verifyMs = 0
  signMs = 0
  private readonly signWith: Sign
  private readonly verifiers: readonly Verify[]

  /** @param publicKeys by authority index */
  constructor(seed: Uint8Array, publicKeys: readonly Uint8Array[]) {
    this.signWith = signer(seed)
    this.verifiers = publicKeys.map(verifier)
  }

  sign(message: Uint8Array): Uint8Array {
    const beganMs = performance.now()
    const signature = this.signWith(message)
    this.signMs += performance.now() - beganMs
    this.signed += 1
    return signature
  }

  /** Stops at the first that is not valid. */
  verify(checks: readonly SignatureCheck[]): boolean {
    const beganMs = performance.now()
    const isValid = checks.every(({ authority, message, signature }) => {
      this.verified += 1
      return this.verifiers[authority]!(message, signature)
    })
    this.verifyMs += performance.now() - beganMs
    return isValid
  }
}
