/**
 * The lines that the reference's primary logs for its benchmark scripts (primary/src/proposer.rs, consensus/src/lib.rs):
 * each batch of a header of ours when the header is made, and each batch of the order, with the header that lists it.
 *
 * ```
 * Created B12(2hHOVfBLdXlMOQUb) -> dGhlIGRpZ2VzdCBvZiBhIGJhdGNoLCAzMiBieXRlcyE=
 * Committed B12(2hHOVfBLdXlMOQUb) -> dGhlIGRpZ2VzdCBvZiBhIGJhdGNoLCAzMiBieXRlcyE=
 * ```
 */
import { shortName } from '../../../shared/config/short-name.js'
import { encodeBase64 } from '../../../shared/crypto/public-key.js'
import type { CommittedBatch } from '../../../shared/memory/dialogue/primary.js'
import type { BatchEntry } from '../../../shared/wire/primary/header.js'
import type { Logger } from '../../lib/log.js'

export class BenchmarkLog {
  private readonly log: Pick<Logger, 'info'>
  private readonly ownIndex: number
  /** By authority index, as the reference shows them. */
  private readonly names: readonly string[]

  constructor(log: Pick<Logger, 'info'>, ownIndex: number, names: readonly string[]) {
    this.log = log
    this.ownIndex = ownIndex
    this.names = names.map(shortName)
  }

  /** Ours, beside those of the reference: a worker has told that a quorum has it. */
  certified(digest: Uint8Array): void {
    this.log.info(`Batch ${encodeBase64(digest)} is certified`)
  }

  created(round: number, batches: readonly BatchEntry[]): void {
    for (const { digest } of batches) this.say('Created', round, this.ownIndex, digest)
  }

  committed(batches: readonly CommittedBatch[]): void {
    for (const { digest, proposer, round } of batches) this.say('Committed', round, proposer, digest)
  }

  private say(what: string, round: number, author: number, digest: Uint8Array): void {
    this.log.info(`${what} B${round}(${this.names[author]}) -> ${encodeBase64(digest)}`)
  }
}
