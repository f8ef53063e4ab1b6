/**
 * The V8 flags that a node's process is started with.
 *
 * Each cipher call and socket read of the main thread allocates its result outside the heap. main/gc-relief.ts has such
 * buffers collected while they are young. On Node 20 that is reliable only with a young generation of at least 16 MiB:
 * in one that V8 sizes by itself they are at times old before they die, and full garbage collections are back. It can
 * only be set when the process starts. From Node 22 on it makes no difference.
 */
const MIN_SEMI_SPACE = '--min-semi-space-size=16'

/** @param nodeVersion as in `process.versions.node` */
export function v8FlagsFor(nodeVersion: string): readonly string[] {
  return Number(nodeVersion.split('.')[0]) < 22 ? [MIN_SEMI_SPACE] : []
}

/** Those of them that a process was started without. */
export function missingV8Flags(nodeVersion: string, execArgv: readonly string[]): readonly string[] {
  const names = execArgv.map((flag) => flag.split('=')[0]!.replaceAll('_', '-'))
  return v8FlagsFor(nodeVersion).filter((flag) => !names.includes(flag.split('=')[0]!))
}
