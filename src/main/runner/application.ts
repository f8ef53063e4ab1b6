/** What a program hands to `authority.run`: its state, as a function of the order; and the check of it at the door. */
import {
  bytesArgument,
  functionArgument,
  integerArgument,
  objectArgument,
  refuseUnknownKeys,
  wrongType,
} from '../../shared/arguments.js'
import type { OrderedCommit } from '../authority/commits.js'
import { signalArgument } from '../worker/option-arguments.js'
import { DUPLICATE_COMMITS_MAX, DUPLICATE_TRANSACTIONS, DUPLICATE_TRANSACTIONS_MAX } from './limits.js'

/**
 * A state that follows the order. The same commits have to give the same state on all authorities: `apply` may read no clock,
 * no random number, nothing of this machine. For the time there is `commit.timestamp`.
 *
 * ```ts
 * await authority.run({
 *   lastApplied: () => db.get('lastApplied') ?? 0,
 *   async apply(commit) {
 *     const writes = []
 *     for await (const transaction of commit.transactions()) writes.push(...writesOf(transaction))
 *     await db.write([...writes, ['lastApplied', commit.index]]) // One write: so each commit counts exactly once.
 *   },
 * })
 * ```
 */
export interface Application {
  /** The index of the last commit that the state has; 0 at first. Asked once, when it begins to run. */
  lastApplied(): number | Promise<number>
  /**
   * Takes the next commit: that behind the last one, without gaps, one at a time. What it returns is awaited. Commits
   * without batches come as well, a few a second at rest; they need not be written.
   *
   * After a crash it is called again for all commits behind what `lastApplied` says then. An application that keeps its
   * state and the index in one write has each commit exactly once; any other at least once. It must bear any bytes as
   * transactions: whoever may submit to any authority brings them into the order. If it throws, the application is
   * stopped, and the order goes on without it.
   */
  apply(commit: OrderedCommit): void | Promise<void>
  /**
   * Whether a transaction is worth ordering, asked in `submit` of this authority only: a reason why not, or nothing. If it
   * throws, that is the reason. It must be quick, and it protects nothing: others need not ask.
   */
  check?(transaction: Uint8Array): string | undefined
}

/** Repeats of a transaction that the application is not shown: the same bytes as of one shortly before it in the order. */
export interface DropDuplicates {
  /** Of one in the same commit, or in so many before it: 1 to 1,000,000. */
  readonly commits: number
  /** And no more than so many transactions before it: 1 to 4,194,304. Default: 262,144, which take some 50 MB. */
  readonly transactions?: number
}

export interface RunOptions {
  /**
   * Which repeats are dropped; none unless it is said. A function of the order: it has to be the same on all authorities,
   * and for as long as the state lives.
   */
  readonly dropDuplicates?: DropDuplicates
  /** Ends the run: what `apply` still reads of its commit rejects with the reason, and so does `run`. */
  readonly signal?: AbortSignal
}

export interface CheckedApplication {
  lastApplied(): unknown
  apply(commit: OrderedCommit): unknown
  readonly check: ((transaction: Uint8Array) => unknown) | undefined
}

export interface CheckedRunOptions {
  readonly dropDuplicates: Required<DropDuplicates> | undefined
  readonly signal: AbortSignal | undefined
}

/** @throws TypeError that names what is wrong. An application may be an instance of a class, with more than these. */
export function applicationArgument(value: unknown): CheckedApplication {
  const app = objectArgument('app', value, 'an application: { lastApplied, apply, check }')
  const method = (name: string): ((argument?: unknown) => unknown) => {
    const found = functionArgument<(argument?: unknown) => unknown>(`app.${name}`, app[name])
    return (argument) => found.call(app, argument)
  }
  return {
    lastApplied: method('lastApplied'),
    apply: method('apply'),
    check: app.check === undefined ? undefined : method('check'),
  }
}

/** @throws TypeError, RangeError that name what is wrong in the options */
export function runArgument(value: unknown = {}): CheckedRunOptions {
  const options = objectArgument('options', value, 'the options of run: { dropDuplicates, signal }')
  refuseUnknownKeys('options', options, ['dropDuplicates', 'signal'])
  const { dropDuplicates, signal } = options
  return {
    dropDuplicates: dropDuplicates === undefined ? undefined : duplicatesArgument(dropDuplicates),
    signal: signal === undefined ? undefined : signalArgument('signal', signal),
  }
}

/** What `lastApplied` has returned. @throws TypeError, RangeError */
export function indexReturned(value: unknown): number {
  return integerArgument('what app.lastApplied returns', value, 0, Number.MAX_SAFE_INTEGER)
}

/** Why `check` refuses a transaction; undefined if it does not. */
export function refusalOf(check: (transaction: Uint8Array) => unknown, transaction: unknown): string | undefined {
  const bytes = bytesArgument('transaction', transaction)
  try {
    const returned = check(bytes)
    if (returned === undefined) return undefined
    if (typeof returned === 'string') return returned
    throw wrongType('what app.check returns', 'a reason, or undefined', returned)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function duplicatesArgument(value: unknown): Required<DropDuplicates> {
  const name = 'dropDuplicates'
  const drop = objectArgument(name, value, '{ commits, transactions }')
  refuseUnknownKeys(name, drop, ['commits', 'transactions'])
  const { commits, transactions = DUPLICATE_TRANSACTIONS } = drop
  return {
    commits: integerArgument(`${name}.commits`, commits, 1, DUPLICATE_COMMITS_MAX),
    transactions: integerArgument(`${name}.transactions`, transactions, 1, DUPLICATE_TRANSACTIONS_MAX),
  }
}
