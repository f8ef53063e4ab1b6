/** The vectors of the reference's formats: test/vectors/reference.json, hex unless its field says base64. */
import { readFileSync } from 'node:fs'

export interface ReferenceVectors {
  readonly keys: readonly {
    readonly seed: string
    readonly public: string
    readonly name_base64: string
    readonly secret_base64: string
  }[]
  readonly committee_order: readonly number[]
  readonly batches: readonly {
    readonly transactions: readonly string[]
    readonly encoded: string
    readonly digest: string
    readonly digest_base64: string
  }[]
  readonly client_transactions: { readonly sample_7_16_bytes: string; readonly standard_16_bytes: string }
  readonly worker_messages: {
    readonly batch_request: {
      readonly digests: readonly string[]
      readonly requester: number
      readonly encoded: string
    }
  }
  readonly worker_primary: {
    readonly our_batch: {
      readonly digest: string
      readonly worker_id: number
      readonly encoded: string
      readonly framed: string
    }
    readonly others_batch: { readonly digest: string; readonly worker_id: number; readonly encoded: string }
  }
  readonly primary_worker: {
    readonly synchronize: { readonly digests: readonly string[]; readonly target: number; readonly encoded: string }
    readonly cleanup: { readonly round: number; readonly encoded: string }
  }
  readonly ack_frame: string
  readonly genesis_certificate_digests: readonly string[]
  readonly header: {
    readonly author: number
    readonly round: number
    readonly payload: readonly (readonly [string, number])[]
    readonly parents: readonly string[]
    readonly id: string
    readonly signature: string
    readonly message: string
  }
  readonly vote_digest: string
  readonly vote_signatures: readonly string[]
  readonly votes: readonly { readonly author: number; readonly message: string }[]
  readonly certificate: { readonly signers: readonly number[]; readonly digest: string; readonly message: string }
  readonly certificates_request: {
    readonly digests: readonly string[]
    readonly requester: number
    readonly message: string
  }
}

export const vectors = JSON.parse(
  readFileSync(new URL('../vectors/reference.json', import.meta.url), 'utf8'),
) as ReferenceVectors

export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
