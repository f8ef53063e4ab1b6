/**
 * For `unhandledRejection` of a thread that writes to a store. When a commit fails, the promise of each write in it
 * rejects, and so does one inside lmdb-js that nobody can handle. What went wrong is reported by the promise that the
 * store waits for.
 */
export function ignoreFailedCommit(error: unknown): void {
  if (!(error instanceof Error && 'commitError' in error)) throw error
}
