/**
 * The V8 flags that a node's process is started with. They work only at the start of a process.
 *
 * Each cipher call and socket read of the main thread allocates its result outside the heap. main/lib/gc-relief.ts has such
 * buffers collected while they are young. But V8 adds the bytes outside the heap, dead or not, to the old generation when
 * it decides whether that is near its limit, and starts to mark everything when less than the young generation's capacity
 * is left. After a full collection that is so after every few slices: a busy node collected everything up to four times a
 * second, for good.
 *
 * - Without incremental marking, a full collection comes only when the limit is reached. It then stops the main thread for
 *   as long as it takes to mark its 20 MB, some 20 ms.
 * - A young generation that has 16 MiB from the start takes all buffers between two minor collections, so that the limit
 *   is not reached.
 * - A minor collection finds 15 kB alive. With V8's helper threads it waits for them longer than it works, as soon as
 *   other threads want the cores.
 *
 * docs/performance.md has the figures.
 */
import { textArgument } from '../arguments.js'

const FLAGS = [
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--no-incremental-marking',
  '--no-parallel-scavenge',
]

/** V8 names its flags for itself: in versions of Node that were not tried, a flag could be an error. */
const NODE_MAJORS_TRIED = [20, 22, 24]

/** @param nodeVersion as in `process.versions.node` */
export function v8FlagsFor(nodeVersion: string): readonly string[] {
  textArgument('nodeVersion', nodeVersion)
  return NODE_MAJORS_TRIED.includes(Number(nodeVersion.split('.')[0])) ? FLAGS : []
}

/** Those of them that a process was started without. */
export function missingV8Flags(nodeVersion: string, execArgv: readonly string[]): readonly string[] {
  const names = execArgv.map((flag) => flag.split('=')[0]!.replaceAll('_', '-'))
  return v8FlagsFor(nodeVersion).filter((flag) => !names.includes(flag.split('=')[0]!))
}
