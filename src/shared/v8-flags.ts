/**
 * The V8 flags that a node's process is started with, and which remedy fits which version of Node.
 *
 * Each cipher call and socket read of the main thread allocates its result outside the heap. In V8's default regime
 * those buffers get old before they die, and V8 answers with full garbage collections: a third of all CPU. On Node 20
 * a young generation of at least 16 MiB lets them die young; it can only be set when the process starts. On later
 * versions it does not help, and main/gc-relief.ts does what does.
 */
const MIN_SEMI_SPACE = '--min-semi-space-size=16'

function major(nodeVersion: string): number {
  return Number(nodeVersion.split('.')[0])
}

/** @param nodeVersion as in `process.versions.node` */
export function needsMinorCollections(nodeVersion: string): boolean {
  return major(nodeVersion) >= 22
}

/** Flags for a process of this version of Node. */
export function v8FlagsFor(nodeVersion: string): readonly string[] {
  return needsMinorCollections(nodeVersion) ? [] : [MIN_SEMI_SPACE]
}

/** Those of them that a process was started without. */
export function missingV8Flags(nodeVersion: string, execArgv: readonly string[]): readonly string[] {
  const names = execArgv.map((flag) => flag.split('=')[0]!.replaceAll('_', '-'))
  return v8FlagsFor(nodeVersion).filter((flag) => !names.includes(flag.split('=')[0]!))
}
