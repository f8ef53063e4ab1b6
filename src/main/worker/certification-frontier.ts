/**
 * Up to where it is settled which own batches are certified, in the order of their sequences. Pure.
 *
 * ```
 *  sequences:  ─── what is stored is certified ───┤ frontier ├─── some are certified, some not yet ───┤ newest
 * ```
 *
 * Batches are certified in another order than that of their sequences. Whoever reads them by sequence, and remembers the
 * last one that it has read, must not be shown one above a batch that is certified later. So the frontier stops at the
 * lowest sequence that is not certified, in this run or left from an earlier one, however many above it are certified.
 */
export interface CertificationFrontierDependencies {
  /** The lowest sequence of the batches under way that have no quorum yet. */
  readonly lowestUncertified: () => bigint | undefined
}

export class CertificationFrontier {
  private readonly dependencies: CertificationFrontierDependencies
  /** Sequences from here on were given to no batch that we know. */
  private end = 0n
  /** What earlier runs left uncertified is sent again in order; from here on it was not yet. Undefined: all was. */
  private recovering: bigint | undefined = 0n
  /** Batches that an earlier run left uncertified, and that cannot be sent again; each was logged. */
  private readonly lost = new Set<bigint>()

  constructor(dependencies: CertificationFrontierDependencies) {
    this.dependencies = dependencies
  }

  /** The sequences of this run begin here; those below are of earlier runs. */
  begin(first: bigint): void {
    this.end = first
  }

  /** A batch was sealed. */
  onSealed(sequence: bigint): void {
    this.end = sequence + 1n
  }

  /** A batch that an earlier run left is about to be sent again; undefined after the last. */
  onRecovering(sequence: bigint | undefined): void {
    this.recovering = sequence
  }

  /** A batch that an earlier run left uncertified cannot be sent again: it will not be certified. */
  onLost(sequence: bigint): void {
    this.lost.add(sequence)
  }

  /** Whether a batch below the frontier is certified. */
  isCertified(sequence: bigint): boolean {
    return !this.lost.has(sequence)
  }

  /** Every own batch that is stored under a lower sequence is certified, or lost; none will come any more. */
  get value(): bigint {
    const { end, recovering } = this
    const uncertified = this.dependencies.lowestUncertified() ?? end
    const settled = uncertified < end ? uncertified : end
    return recovering === undefined || settled < recovering ? settled : recovering
  }
}
