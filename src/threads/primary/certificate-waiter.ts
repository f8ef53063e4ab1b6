/**
 * CertificateWaiter: verified certificates of which a parent is not delivered yet. They are found by the parent that is
 * missing, so a parent that comes costs only what waits for it.
 *
 * Nobody can fill it with rubbish: a certificate has the votes of a quorum, so there is one for each author and round.
 * Only rounds up to `gc_depth` above what we have are let in (`core.ts`); the rest is fetched by range. In a large committee
 * these could still be gigabytes: so each author has a share of the bytes, and its highest rounds give way.
 */
import type { AuthorityIndex, Digest, Round } from './consensus/types.js'
import { CERTIFICATES_WAITING_BYTES_MAX } from './limits.js'
import type { CertificateRecord } from './records.js'

interface Waiting {
  readonly certificate: CertificateRecord
  readonly missing: Set<Digest>
}

export class CertificateWaiter {
  private readonly waiting = new Map<Digest, Waiting>()
  private readonly children = new Map<Digest, Set<Waiting>>()
  private readonly bytesMax: number
  /** By author, what waits of it. */
  private readonly shares = new Map<AuthorityIndex, { readonly waiting: Set<Waiting>; bytes: number }>()

  constructor(authorities: number, bytesMax = Math.floor(CERTIFICATES_WAITING_BYTES_MAX / authorities)) {
    this.bytesMax = bytesMax
  }

  get size(): number {
    return this.waiting.size
  }

  has(digest: Digest): boolean {
    return this.waiting.has(digest)
  }

  waitsFor(parent: Digest): boolean {
    return this.children.has(parent)
  }

  /** Parents that something waits for, and that do not wait themselves. */
  *missing(): Generator<Digest> {
    for (const parent of this.children.keys()) if (!this.waiting.has(parent)) yield parent
  }

  /** Returns whether there is room for it. If not, or if one of a lower round comes later, it comes again by range. */
  wait(certificate: CertificateRecord, missing: readonly Digest[]): boolean {
    const entry: Waiting = { certificate, missing: new Set(missing) }
    this.add(entry)
    for (const parent of missing) {
      const children = this.children.get(parent)
      if (children === undefined) this.children.set(parent, new Set([entry]))
      else children.add(entry)
    }
    this.makeRoom(certificate.header.author)
    return this.waiting.has(certificate.digest)
  }

  /** A certificate is delivered: those that have all their parents now. */
  delivered(parent: Digest): CertificateRecord[] {
    const ready: CertificateRecord[] = []
    for (const entry of this.children.get(parent) ?? []) {
      entry.missing.delete(parent)
      if (entry.missing.size > 0) continue
      this.forget(entry)
      ready.push(entry.certificate)
    }
    this.children.delete(parent)
    return ready
  }

  /** Forgets the rounds at or below `gcRound`. Those of the round above wait for nobody any more; it returns them. */
  collect(gcRound: Round): CertificateRecord[] {
    const ready: CertificateRecord[] = []
    for (const entry of this.waiting.values()) {
      const { certificate } = entry
      if (certificate.header.round > gcRound + 1) continue
      this.remove(entry)
      if (certificate.header.round === gcRound + 1) ready.push(certificate)
    }
    return ready
  }

  private makeRoom(author: AuthorityIndex): void {
    const share = this.shares.get(author)!
    while (share.bytes > this.bytesMax) {
      let highest: Waiting | undefined
      for (const entry of share.waiting) if (highest === undefined || roundOf(entry) > roundOf(highest)) highest = entry
      this.remove(highest!)
    }
  }

  private add(entry: Waiting): void {
    const { bytes, digest, header } = entry.certificate
    this.waiting.set(digest, entry)
    const share = this.shares.get(header.author) ?? { waiting: new Set(), bytes: 0 }
    this.shares.set(header.author, share)
    share.waiting.add(entry)
    share.bytes += bytes.length
  }

  private forget(entry: Waiting): void {
    const { bytes, digest, header } = entry.certificate
    this.waiting.delete(digest)
    const share = this.shares.get(header.author)!
    share.waiting.delete(entry)
    share.bytes -= bytes.length
  }

  private remove(entry: Waiting): void {
    this.forget(entry)
    for (const parent of entry.missing) {
      const children = this.children.get(parent)
      children?.delete(entry)
      if (children?.size === 0) this.children.delete(parent)
    }
  }
}

function roundOf({ certificate }: Waiting): Round {
  return certificate.header.round
}
