/**
 * A machine that lacks something, or does something wrong, for one process: `preload/shim.c`, compiled once and loaded
 * before the C library. Only on Linux, and where there is a C compiler.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from './temporary-directory.js'

const SOURCE = fileURLToPath(new URL('./preload/shim.c', import.meta.url))

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
  if (process.platform !== 'linux') return { reason: 'functions of the C library are replaced on Linux only' }
  const library = join(temporaryDirectory(), 'shim.so')
  const { status, stderr } = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl'], {
    encoding: 'utf8',
  })
  if (status !== 0) return { reason: `the machine has no C compiler that works: ${stderr?.trim() || 'no gcc'}` }
  const { flush, hosts, lock, mmap } = machine
  return {
    LD_PRELOAD: library,
    ...(hosts !== undefined && { NARVAL_TEST_HOSTS: hosts }),
    ...(mmap !== undefined && { NARVAL_TEST_MMAP: String(mmap) }),
    ...(lock !== undefined && { NARVAL_TEST_LOCK: String(lock) }),
    ...(flush !== undefined && { NARVAL_TEST_FLUSH: flush }),
  }
}
