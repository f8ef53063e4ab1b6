/**
 * The typed errors of narval.
 *
 * A `NarvalError` says that somebody outside — a user, a file, a client, a peer, the operating system — did something
 * that narval refuses, and carries a stable code, what was expected and what was found. Our own bugs are assertions
 * (`node:assert`), never a `NarvalError`.
 */

export type ErrorCode =
  // what this machine or its Node lacks
  | 'ERR_PLATFORM'
  // files and command line
  | 'ERR_USAGE'
  | 'ERR_FILE_MISSING'
  | 'ERR_FILE_MALFORMED'
  | 'ERR_FILE_EXISTS'
  | 'ERR_FILE_UNREADABLE'
  | 'ERR_FILE_UNWRITABLE'
  | 'ERR_KEYS_MALFORMED'
  | 'ERR_COMMITTEE_MALFORMED'
  | 'ERR_PARAMETERS_MALFORMED'
  | 'ERR_NOT_IN_COMMITTEE'
  | 'ERR_ADDRESS_MISSING'
  | 'ERR_ADDRESS_IN_USE'
  | 'ERR_ADDRESS_UNAVAILABLE'
  // store
  | 'ERR_STORE_LOCKED'
  | 'ERR_STORE_FOREIGN'
  | 'ERR_STORE_USED'
  | 'ERR_STORE_FORMAT'
  | 'ERR_STORE_DAMAGED'
  | 'ERR_STORE_SETTINGS'
  | 'ERR_STORE_WRITE'
  | 'ERR_BATCH_NOT_FOUND'
  | 'ERR_BATCHES_DELETED'
  | 'ERR_COMMITS_PRUNED'
  | 'ERR_CHECKPOINT_NOT_FOUND'
  | 'ERR_NOT_PROVABLE'
  // transactions and batches
  | 'ERR_TRANSACTION_TOO_LARGE'
  | 'ERR_TRANSACTION_EMPTY'
  | 'ERR_TRANSACTION_NOT_FOUND'
  | 'ERR_TRANSACTION_REFUSED'
  | 'ERR_BATCH_MALFORMED'
  // requests to the gateway
  | 'ERR_REQUEST_MALFORMED'
  | 'ERR_REQUEST_TOO_LARGE'
  | 'ERR_REQUEST_RATE'
  | 'ERR_CONTENT_TYPE'
  | 'ERR_ROUTE_NOT_FOUND'
  | 'ERR_UNAUTHORIZED'
  | 'ERR_HOST_FOREIGN'
  | 'ERR_COMMIT_NOT_FOUND'
  | 'ERR_CURSOR_AHEAD'
  // wire
  | 'ERR_CODEC'
  | 'ERR_FRAME_TOO_LARGE'
  | 'ERR_TOO_MANY_DIGESTS'
  // consensus
  | 'ERR_EQUIVOCATION'
  | 'ERR_FORK'
  | 'ERR_KEY_USED_TWICE'
  | 'ERR_RECOVERY_IMPOSSIBLE'
  // the load client and a committee on one machine
  | 'ERR_UNREACHABLE'
  | 'ERR_DISCONNECTED'
  | 'ERR_DIRECTORY_FOREIGN'
  | 'ERR_BOOT_TIMEOUT'
  | 'ERR_CHILD_DIED'
  | 'ERR_LOGS_APART'
  // the application
  | 'ERR_APPLICATION_FAILED'
  // lifecycle
  | 'ERR_CLOSED'
  | 'ERR_BUSY'
  | 'ERR_THREAD_DIED'
  | 'ERR_PRIMARY_FAILED'

export class NarvalError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'NarvalError'
    this.code = code
  }

  /** One line for a user: the code and what to do. */
  override toString(): string {
    return `${this.code}: ${this.message}`
  }
}

/** Own batches that a reader of certified batches wants were deleted before it came to them. */
export class BatchesDeletedError extends NarvalError {
  /** Up to this sequence batches may be missing. A reader after it misses none. */
  readonly deletedThrough: bigint

  constructor(after: bigint, deletedThrough: bigint) {
    super(
      'ERR_BATCHES_DELETED',
      `own batches after sequence ${after} were deleted, the last of them ${deletedThrough}: read on after that one, or with skipDeleted to get what is left of those before`,
    )
    this.deletedThrough = deletedThrough
  }
}

/** Commits that a reader of the log wants were deleted before it came to them. */
export class CommitsPrunedError extends NarvalError {
  /** The oldest commit that is there. A reader after the one before it misses none of what is left. */
  readonly oldest: number

  /** @param what is not there any more */
  constructor(after: number, oldest: number, what = 'the log has no commits') {
    super(
      'ERR_COMMITS_PRUNED',
      `${what} before ${oldest} any more, and commit ${after + 1} was to be read: begin after ${oldest - 1}, with a state of the application that has all up to there`,
    )
    this.oldest = oldest
  }
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'it is no address of this machine; bind one that is, or 0.0.0.0 for all',
  EACCES: 'this user may not listen on that port; choose one from 1024 on',
  EAFNOSUPPORT: 'this machine has no IPv6; bind 0.0.0.0',
}

/** What a failed `listen` means to a user. `what` is received there: "the clients' transactions". */
export function listenError(
  error: unknown,
  what: string,
  address: { host: string; port: number },
  remedy = 'change the committee file',
): NarvalError {
  const code = (error as NodeJS.ErrnoException).code
  const at = address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
  if (code === 'EADDRINUSE') {
    return new NarvalError(
      'ERR_ADDRESS_IN_USE',
      `${at}, which is to receive ${what}, is in use: stop the process that listens there, or ${remedy}`,
      { cause: error },
    )
  }
  const why = LISTEN_PROBLEMS[code ?? ''] ?? (error as Error).message
  return new NarvalError('ERR_ADDRESS_UNAVAILABLE', `cannot listen on ${at} for ${what}: ${why}`, { cause: error })
}
