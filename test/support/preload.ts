/**
 * A machine that lacks something, or does something wrong, for one process: `preload/shim.c`, or one that kills the process
 * at a step: `preload/steps.c`. Compiled and loaded before the C library. Only on Linux, and where there is a C compiler.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from './temporary-directory.js'

/** What the process meets: see the head of `shim.c`. */
export interface Machine {
  /** File of names and what they resolve to. */
  readonly hosts?: string
  /** The errno with which shared mappings of the store fail. */
  readonly mmap?: number
  /** The errno with which locks fail. */
  readonly lock?: number
  /** While this file is there, flushes of the store fail. */
  readonly flush?: string
}

/** The environment of a process on this machine, or why there can be none. */
export function environmentOf(machine: Machine): Record<string, string> | { readonly reason: string } {
  const loaded = preloaded('shim.c')
  if ('reason' in loaded) return loaded
  const { flush, hosts, lock, mmap } = machine
  return {
    ...loaded,
    ...(hosts !== undefined && { NARVAL_TEST_HOSTS: hosts }),
    ...(mmap !== undefined && { NARVAL_TEST_MMAP: String(mmap) }),
    ...(lock !== undefined && { NARVAL_TEST_LOCK: String(lock) }),
    ...(flush !== undefined && { NARVAL_TEST_FLUSH: flush }),
  }
}

/** The environment of a process that loads this file before the C library, or why there can be none. */
export function preloaded(source: string): { readonly LD_PRELOAD: string } | { readonly reason: string } {
  if (process.platform !== 'linux') return { reason: 'functions of the C library are replaced on Linux only' }
  const library = join(temporaryDirectory(), 'preloaded.so')
  const path = fileURLToPath(new URL(`./preload/${source}`, import.meta.url))
  const { status, stderr } = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, path, '-ldl'], {
    encoding: 'utf8',
  })
  if (status !== 0) return { reason: `the machine has no C compiler that works: ${stderr?.trim() || 'no gcc'}` }
  return { LD_PRELOAD: library }
}
