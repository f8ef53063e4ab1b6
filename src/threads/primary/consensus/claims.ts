/**
 * Claims: which authorities say that they hold a batch of another one, for batches that are not in the order.
 *
 * A batch bears no signature of its author. So what an authority lists of another one shows only that it says so: it could
 * have made the batch up, and taken the place of the real one of that sequence. When authorities with V of the stake have
 * listed the same batch, one of them is honest, and an honest one lists only what its author handed to its worker.
 *
 * ```
 *  header of the author                      ──▶ in the order
 *  header of another: a claim ──▶ V of the stake have claimed this digest ──▶ in the order, there
 * ```
 *
 * Each authority has so many claims at a time; its oldest give way. All authorities do this at the same place in the
 * order, so all order the same. That a claim was given up loses nothing: its authority makes it anew.
 */
import { assert } from '../../../shared/assert.js'
import { COMMITTEE_SIZE_MAX } from '../../../shared/constants.js'
import { NOBODY, only, without } from './authority-set.js'
import { CLAIMS_MAX, CLAIMS_PER_AUTHORITY_MAX } from './limits.js'
import type { Stakes } from './stakes.js'
import type { AuthorityIndex, AuthoritySet, Digest, PayloadEntry } from './types.js'

/** By claimant, and then the oldest first. Sequences in hexadecimal, digests in base64: it is JSON. */
export type ClaimsState = readonly (readonly [
  claimant: number,
  author: number,
  worker: number,
  sequence: string,
  digest: string,
])[]

/** What is claimed: a batch whose sequence is known. */
export type ClaimedEntry = PayloadEntry & { readonly sequence: bigint }

export class Claims {
  private readonly stakes: Stakes
  private readonly claimsMax: number
  /** By claimant: what it claims, by name and digest, the oldest first. */
  private readonly byClaimant: Map<string, ClaimedEntry>[]
  /** By name: who claims which digest. An author that lies may have made several of one name. */
  private readonly byName = new Map<string, Map<Digest, AuthoritySet>>()

  constructor(stakes: Stakes, state: ClaimsState = []) {
    this.stakes = stakes
    this.claimsMax = claimsOfEach(stakes.size)
    this.byClaimant = Array.from({ length: stakes.size }, () => new Map())
    for (const [claimant, author, worker, sequence, digest] of state) {
      const key = Buffer.from(digest, 'base64').toString('latin1')
      this.add(claimant, { author, worker, sequence: BigInt(`0x${sequence}`), digest: key })
    }
  }

  get size(): number {
    return this.byClaimant.reduce((sum, claims) => sum + claims.size, 0)
  }

  has(claimant: AuthorityIndex, entry: ClaimedEntry): boolean {
    return this.byClaimant[claimant]!.has(keyOf(entry))
  }

  /** A header of `claimant` that is in the order lists this batch of another. Returns whether that makes V of the stake. */
  add(claimant: AuthorityIndex, entry: ClaimedEntry): boolean {
    const claims = this.byClaimant[claimant]!
    const key = keyOf(entry)
    if (!claims.has(key)) {
      const [oldest] = claims.size >= this.claimsMax ? claims.values() : []
      if (oldest !== undefined) this.remove(claimant, oldest)
      claims.set(key, entry)
    }
    const name = nameOf(entry)
    const digests = this.byName.get(name) ?? new Map<Digest, AuthoritySet>()
    this.byName.set(name, digests)
    const claimants = (digests.get(entry.digest) ?? NOBODY) | only(claimant)
    digests.set(entry.digest, claimants)
    return this.stakes.ofSet(claimants) >= this.stakes.validity
  }

  /** A batch of this name is in the order: whoever claims it, or another of its name, claims nothing any more. */
  settle(entry: ClaimedEntry): void {
    const name = nameOf(entry)
    const digests = this.byName.get(name)
    if (digests === undefined) return
    this.byName.delete(name)
    for (const digest of digests.keys()) {
      const key = keyOf({ ...entry, digest })
      for (const claims of this.byClaimant) claims.delete(key)
    }
  }

  snapshot(): ClaimsState {
    return this.byClaimant.flatMap((claims, claimant) =>
      [...claims.values()].map(({ author, digest, sequence, worker }) => {
        const bytes = Buffer.from(digest, 'latin1')
        return [claimant, author, worker, sequence.toString(16), bytes.toString('base64')] as const
      }),
    )
  }

  private remove(claimant: AuthorityIndex, entry: ClaimedEntry): void {
    this.byClaimant[claimant]!.delete(keyOf(entry))
    const name = nameOf(entry)
    const digests = this.byName.get(name)!
    const left = without(digests.get(entry.digest)!, only(claimant))
    if (left !== NOBODY) digests.set(entry.digest, left)
    else digests.delete(entry.digest)
    if (digests.size === 0) this.byName.delete(name)
  }
}

/** How many batches of others each authority may claim at a time. */
export function claimsOfEach(authorities: number): number {
  return Math.min(CLAIMS_PER_AUTHORITY_MAX, Math.floor(CLAIMS_MAX / authorities))
}

function nameOf({ author, sequence, worker }: ClaimedEntry): string {
  return `${author} ${worker} ${sequence}`
}

function keyOf(entry: ClaimedEntry): string {
  return `${nameOf(entry)} ${entry.digest}`
}

assert(CLAIMS_MAX >= 2 * COMMITTEE_SIZE_MAX)
