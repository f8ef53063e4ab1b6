/** Batches into LMDB, with the product's settings; the oldest are deleted once there are enough, so that space is used again. */
import { createHash } from 'node:crypto'
import { type Database, open } from 'lmdb'
import { type AckLevel, BATCH_BYTES } from './options.js'

export interface StoreOptions {
  readonly directory: string
  readonly ackLevel: AckLevel
  readonly retainBytes: number
}

type Put = Promise<unknown> & { flushed?: Promise<unknown> }

export class Store {
  private readonly options: StoreOptions
  private readonly batches: Database<Uint8Array, Uint8Array>
  private readonly freeBuffers: ArrayBuffer[] = []
  private readonly kept: { readonly key: Uint8Array; readonly bytes: number }[] = []
  private keptBytes = 0
  private count = 0

  constructor(options: StoreOptions) {
    this.options = options
    this.batches = open<Uint8Array, Uint8Array>({
      path: options.directory,
      encoding: 'binary',
      keyEncoding: 'binary',
      compression: false,
      noMemInit: true,
      separateFlushed: true,
    } as Parameters<typeof open>[0]) as Database<Uint8Array, Uint8Array>
  }

  /** Hashes and stores a batch. `bytes` may change once this has returned; `onStored` is called in order of the calls. */
  put(bytes: Uint8Array, onStored: () => void): void {
    const digest = createHash('sha256').update(bytes).digest()
    const owned = new Uint8Array(this.freeBuffers.pop() ?? new ArrayBuffer(BATCH_BYTES), 0, bytes.length)
    owned.set(bytes)
    const key = this.keyOf(digest)
    const put: Put = this.batches.put(key, owned)
    this.kept.push({ key, bytes: bytes.length })
    this.keptBytes += bytes.length
    while (this.keptBytes > this.options.retainBytes && this.kept.length > 1) this.deleteOldest()
    void put.then(() => {
      this.freeBuffers.push(owned.buffer)
      if (this.options.ackLevel === 'stored') onStored()
    })
    if (this.options.ackLevel === 'durable') void put.flushed!.then(onStored)
  }

  /** Keys rise, so that what is written together is freed together. */
  private keyOf(digest: Uint8Array): Uint8Array {
    const key = Buffer.alloc(8 + digest.length)
    this.count += 1
    key.writeBigUInt64BE(BigInt(this.count))
    key.set(digest, 8)
    return key
  }

  private deleteOldest(): void {
    const oldest = this.kept.shift()!
    this.keptBytes -= oldest.bytes
    void this.batches.remove(oldest.key)
  }
}
