/**
 * narval as a library: a Narwhal worker in your process.
 *
 * ```ts
 * import { readCommittee, readKeys, startWorker } from 'narval'
 *
 * const worker = await startWorker({
 *   keys: readKeys('.node-0.json'),
 *   committee: readCommittee('.committee.json'),
 *   store: '.db-0-0',
 * })
 * await worker.submit(new TextEncoder().encode('a transaction'))
 * for await (const { digest } of worker.certified) {
 *   const batch = await worker.read(digest)
 * }
 * ```
 *
 * Start your process with the flags that `v8FlagsFor(process.versions.node)` names: without them, garbage collection takes
 * up to a third of a busy worker's CPU (docs/performance.md).
 *
 * @packageDocumentation
 */

export type { CertifiedBatch } from './main/certified-stream.js'
export { createLogger, type Logger, type LogLevel } from './main/log.js'
export type { Health } from './main/metrics/health.js'
export { type StoredBatchView, startWorker, type Worker, type WorkerOptions } from './main/worker.js'
export type { AckLevel } from './shared/ack.js'
export { readBatchHeader, transactions } from './shared/batch.js'
export { type Committee, parseCommittee, readCommittee } from './shared/config/committee.js'
export { generateKeys, type Keys, parseKeys, readKeys, writeKeys } from './shared/config/keys.js'
export { defaultParameters, type Parameters, parseParameters, readParameters } from './shared/config/parameters.js'
export { type ErrorCode, NarvalError } from './shared/errors.js'
export type { PrimaryWorkerMessage, WorkerPrimaryMessage } from './shared/primary-messages.js'
export { proveTransaction, type TransactionProof, verifyTransaction } from './shared/proof.js'
export { v8FlagsFor } from './shared/v8-flags.js'
