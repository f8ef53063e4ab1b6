/** What a stage of the suite is. */
import type { Cleanup } from './cleanup.js'
import type { Row } from './row.js'

export interface StageContext {
  /** How long each case is measured, in ms, after its warm-up. */
  readonly timeMs: number
  readonly cleanup: Cleanup
}

export interface Stage {
  /** As `--only` names it. */
  readonly name: string
  /** One line for `--list`. */
  readonly about: string
  run(context: StageContext): Promise<Row[]>
}

/** Bytes of the batches of all stages: the default of `batch_size`. */
export const BATCH_BYTES = 500_000
/** Bytes of the transactions that stages vary. */
export const TRANSACTION_SIZES: readonly number[] = [32, 512, 8192]
