/**
 * How long our own batches take from stage to stage, as main sees it: it is told when a worker hands a batch over, when
 * a header lists it, when that header is certified, and when it is in the order, on the disk.
 *
 * ```
 *  own batch ──batch-to-header──▶ header ──header-to-certificate──▶ certificate ──certificate-to-commit──▶ commit
 *      │                            └─────────────────── header-to-commit ─────────────────────────────────▶ │
 *      └──────────────────────────────────────────────── batch-to-commit ──────────────────────────────────▶ │
 * ```
 *
 * A batch counts from the first header that lists it: one that is proposed again was late from its first proposal on. A
 * header without batches is not measured: at rest, nobody waits for it. Pure: the clock is handed in.
 */
import type { CommittedBatch } from '../../../shared/memory/dialogue/primary.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import type { BatchEntry } from '../../../shared/wire/primary/header.js'
import { STAGE_BATCHES_MAX, STAGE_HEADERS_MAX } from './limits.js'

export const STAGES = [
  'batch-to-header',
  'header-to-certificate',
  'certificate-to-commit',
  'header-to-commit',
  'batch-to-commit',
] as const
export type Stage = (typeof STAGES)[number]

interface BatchTimes {
  /** Unknown of a batch that an earlier run was told of. */
  readonly toldMs: number | undefined
  proposedMs: number | undefined
}

interface HeaderTimes {
  readonly createdMs: number
  certifiedMs: number | undefined
}

export class StageTimes {
  private readonly ownIndex: number
  private readonly observe: (stage: Stage, ms: number) => void
  /** Of batches that are not in the order, by digest, oldest first. */
  private readonly batches = new Map<string, BatchTimes>()
  /** Of our headers with batches, by round, oldest first. */
  private readonly headers = new Map<number, HeaderTimes>()

  constructor(ownIndex: number, observe: (stage: Stage, ms: number) => void) {
    this.ownIndex = ownIndex
    this.observe = observe
  }

  /** A worker of ours hands over a batch of ours. */
  told(digest: Uint8Array, nowMs: number): void {
    const key = digestKey(digest)
    if (!this.batches.has(key)) keep(this.batches, key, { toldMs: nowMs, proposedMs: undefined }, STAGE_BATCHES_MAX)
  }

  proposed(round: number, batches: readonly BatchEntry[], nowMs: number): void {
    if (batches.length === 0) return
    keep(this.headers, round, { createdMs: nowMs, certifiedMs: undefined }, STAGE_HEADERS_MAX)
    for (const { digest } of batches) {
      const key = digestKey(digest)
      const times = this.batches.get(key)
      if (times === undefined) keep(this.batches, key, { toldMs: undefined, proposedMs: nowMs }, STAGE_BATCHES_MAX)
      else if (times.proposedMs === undefined) {
        times.proposedMs = nowMs
        if (times.toldMs !== undefined) this.observe('batch-to-header', nowMs - times.toldMs)
      }
    }
  }

  /** Our header of this round has its certificate. */
  certified(round: number, nowMs: number): void {
    const times = this.headers.get(round)
    if (times === undefined || times.certifiedMs !== undefined) return
    times.certifiedMs = nowMs
    this.observe('header-to-certificate', nowMs - times.createdMs)
  }

  committed(batches: readonly CommittedBatch[], nowMs: number): void {
    for (const { author, digest, proposer, round } of batches) {
      if (author !== this.ownIndex) continue
      const key = digestKey(digest)
      const times = this.batches.get(key)
      const certifiedMs = proposer === this.ownIndex ? this.headers.get(round)?.certifiedMs : undefined
      this.batches.delete(key)
      if (certifiedMs !== undefined) this.observe('certificate-to-commit', nowMs - certifiedMs)
      if (times?.proposedMs !== undefined) this.observe('header-to-commit', nowMs - times.proposedMs)
      if (times?.toldMs !== undefined) this.observe('batch-to-commit', nowMs - times.toldMs)
    }
  }
}

/** The oldest gives way. */
function keep<K, V>(map: Map<K, V>, key: K, value: V, max: number): void {
  map.delete(key)
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= max) return
    map.delete(oldest)
  }
}
