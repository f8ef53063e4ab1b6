/**
 * A minor garbage collection for every few megabytes of traffic. node:crypto allocates each result outside the heap, and
 * V8 answers 64 MiB of them with a full collection unless they die young before that. A floor that is bound by garbage
 * collection would be no floor. On Node 20 with its flag (src/shared/runtime/v8-flags.ts) it made no difference here; it is there
 * for versions whose young generation is left to V8.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const BYTES_PER_COLLECTION = 10 * 1024 * 1024

export class MinorGc {
  private readonly collect: (options: { type: 'minor' }) => void
  private bytes = 0

  constructor() {
    setFlagsFromString('--expose-gc')
    this.collect = runInNewContext('gc')
  }

  /** Bytes went through the cipher. */
  traffic(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < BYTES_PER_COLLECTION) return
    this.bytes = 0
    this.collect({ type: 'minor' })
  }
}
