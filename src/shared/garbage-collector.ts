/** V8's collector of this thread, for those who know better than V8 when to call it. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Without options it collects everything; on Node 20 it does less whatever else it is given. */
export type Collect = (options?: { readonly type: 'minor' }) => void

/**
 * Between two full collections of a thread. Little survives its youth by mistake, some 40 kB a second on a busy thread,
 * and without incremental marking V8 lets it grow to a quarter of a gigabyte before it looks. A collection of the 25 MB
 * heap of main takes some 20 ms; but it also throws away the optimized code that refers to shapes of which no object
 * lives at the moment, and the compiler needs a second of CPU to make that again.
 */
const FULL_COLLECTION_MS = 300_000

/** The one way to the collector that works in a process which was not started with the flag. */
export function collector(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}

/** Collects everything now and then, on a thread whose heap is narval's own, until it ends: memory stays where it is. */
export function startFullCollections(): void {
  const collect = collector()
  setInterval(() => collect(), FULL_COLLECTION_MS).unref()
}
