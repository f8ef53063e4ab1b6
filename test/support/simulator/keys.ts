/** Signatures that cost little: a hash under a secret that only the simulator has. Nobody can make another's. */
import { createHash } from 'node:crypto'
import type { Keys } from '../../../src/threads/primary/signatures.js'

export function simulatedKeys(authority: number): Keys & { verified: number; signed: number } {
  return {
    verified: 0,
    signed: 0,
    sign(message) {
      this.signed += 1
      return signatureOf(authority, message)
    },
    verify(checks) {
      this.verified += checks.length
      return checks.every(({ authority, message, signature }) => {
        const expected = signatureOf(authority, message)
        return Buffer.compare(expected, signature) === 0
      })
    },
  }
}

function signatureOf(authority: number, message: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(`secret of ${authority}`).update(message).digest())
}
