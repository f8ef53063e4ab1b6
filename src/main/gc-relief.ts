/**
 * Keeps V8 from answering network traffic with full garbage collections.
 *
 * Each cipher call and socket read of libp2p allocates its result outside the heap. V8 counts those bytes and, in its
 * default regime, starts a mark-compact cycle for them: a third of all CPU. On Node 20 a young generation of fixed size
 * prevents that (`--min-semi-space-size`, shared/v8-flags.ts). From Node 22 on it does not, but a minor collection every
 * few megabytes of traffic does: it frees those buffers while they are young. docs/performance.md has the figures.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { needsMinorCollections } from '../shared/v8-flags.js'

/** Traffic between two minor collections: half of what V8 takes for a reason to collect everything. */
const BYTES_PER_COLLECTION = 12 * 1024 * 1024

type Gc = (options: { type: 'minor' }) => void

export class GcRelief {
  private readonly collect: Gc | undefined
  private bytes = 0

  constructor() {
    if (!needsMinorCollections(process.versions.node)) return
    setFlagsFromString('--expose-gc')
    this.collect = runInNewContext('gc') as Gc
  }

  /** Bytes went through the cipher. */
  traffic(bytes: number): void {
    if (this.collect === undefined) return
    this.bytes += bytes
    if (this.bytes < BYTES_PER_COLLECTION) return
    this.bytes = 0
    this.collect({ type: 'minor' })
  }
}
