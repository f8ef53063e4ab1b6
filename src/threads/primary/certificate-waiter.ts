/**
 * CertificateWaiter: verified certificates of which a parent is not delivered yet. They are found by the parent that is
 * missing, so a parent that comes costs only what waits for it.
 *
 * Nobody can fill it with rubbish: a certificate has the votes of a quorum, so there is one for each author and round.
 * Only rounds up to `gc_depth` above what we have are let in (`core.ts`); the rest is fetched by range.
 */
import type { Digest, Round } from './consensus/types.js'
import type { CertificateRecord } from './records.js'

interface Waiting {
  readonly certificate: CertificateRecord
  readonly missing: Set<Digest>
}

export class CertificateWaiter {
  private readonly waiting = new Map<Digest, Waiting>()
  private readonly children = new Map<Digest, Set<Waiting>>()

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

  wait(certificate: CertificateRecord, missing: readonly Digest[]): void {
    const entry: Waiting = { certificate, missing: new Set(missing) }
    this.waiting.set(certificate.digest, entry)
    for (const parent of missing) {
      const children = this.children.get(parent)
      if (children === undefined) this.children.set(parent, new Set([entry]))
      else children.add(entry)
    }
  }

  /** A certificate is delivered: those that have all their parents now. */
  delivered(parent: Digest): CertificateRecord[] {
    const ready: CertificateRecord[] = []
    for (const entry of this.children.get(parent) ?? []) {
      entry.missing.delete(parent)
      if (entry.missing.size > 0) continue
      this.waiting.delete(entry.certificate.digest)
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

  private remove(entry: Waiting): void {
    this.waiting.delete(entry.certificate.digest)
    for (const parent of entry.missing) {
      const children = this.children.get(parent)
      children?.delete(entry)
      if (children?.size === 0) this.children.delete(parent)
    }
  }
}
