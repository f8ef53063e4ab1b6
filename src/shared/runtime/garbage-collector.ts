/** V8's collector of this thread, for those who know better than V8 when to call it. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Without options it collects everything; on Node 20 it does less whatever else it is given. */
export type Collect = (options?: { readonly type: 'minor' }) => void

/**
 * Between two full collections of a thread. On the processor's, lmdb-js keeps its writes in a linked list: once one of
 * them has grown old, each is kept by the one before it, dead or not, some 50 kB a second. On main 30 kB a second survive
 * their youth. Without incremental marking V8 lets that grow to a quarter of a gigabyte before it looks.
 */
const FULL_COLLECTION_MS = 30_000
/**
 * The same for main. A collection of its 25 MB takes some 20 ms; but it also throws away the optimized code that refers
 * to shapes of which no object lives at the moment, and the compiler needs a second of CPU to make that again.
 */
export const MAIN_FULL_COLLECTION_MS = 300_000

/** The one way to the collector that works in a process which was not started with the flag. */
export function collector(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}

/** Collects everything now and then, on a thread whose heap is narval's own, until it ends: memory stays where it is. */
export function startFullCollections(intervalMs = FULL_COLLECTION_MS): void {
  const collect = collector()
  setInterval(() => collect(), intervalMs).unref()
}
