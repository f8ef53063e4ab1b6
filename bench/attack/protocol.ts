/** What the bench hands to the process of an attacker or a spinner, and what that says at its end. */

export const ATTACKS = [
  'pings',
  'proposals',
  'unread-pongs',
  'flood',
  'synchronize',
  'tiny-batches',
  'reset-requests',
  'clients',
  'strangers',
  'stray-acks',
  'half-open-streams',
  'reset-streams',
] as const
export type Attack = (typeof ATTACKS)[number]

/** Where a worker of the committee listens, all on 127.0.0.1. */
export interface Target {
  readonly publicKey: string
  readonly workerPort: number
  readonly transactionsPort: number
  readonly primaryToWorkerPort: number
}

export type Task =
  | { readonly kind: 'spin'; readonly seconds: number; readonly share: number }
  | {
      readonly kind: 'attack'
      readonly attack: Attack
      readonly seconds: number
      /** Of the attack's own unit, in a second: see `scenarios.ts`. */
      readonly rate: number
      readonly committeeFile: string
      /** Of the authority that the attacker is, where it is one; of a stranger else. */
      readonly keysFile: string
      /** The committee's `batch_size`. */
      readonly batchBytesMax: number
      /** The victim first. */
      readonly targets: readonly Target[]
      /** Batches that the victim has stored, in base64. */
      readonly digests: readonly string[]
    }

export interface Report {
  /** CPU of the process while it did its work. */
  readonly cpuS: number
  readonly elapsedS: number
  /** What it has done, in the attack's unit. */
  readonly done: number
  /** How many of its connections or streams the victim has ended. */
  readonly ended: number
}

/** The process says this when it is ready to begin; it begins at `go`. */
export type FromChild = { readonly type: 'ready' } | { readonly type: 'report'; readonly report: Report }
