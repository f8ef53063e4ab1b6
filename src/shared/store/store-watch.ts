/**
 * Looks after the store's file: its size, readers in LMDB's lock table that died, and flushes that failed. It has the
 * file open for itself from before the first write on, since Linux reports a failed flush to each open file once.
 */
import { close, fdatasync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { DEAD_READERS_MS, STORE_LOOK_MS } from './limits.js'
import { DATA_FILE } from './store-error.js'

export interface StoreWatchHandlers {
  readonly onFileBytes: (bytes: number) => void
  readonly onFlushFailed: (error: Error) => void
  /** Frees the places of readers that died. */
  readonly clearDeadReaders: () => void
}

export class StoreWatch {
  private readonly fd: number
  private readonly handlers: StoreWatchHandlers
  private readonly timers: readonly NodeJS.Timeout[]
  private looking: Promise<void> | undefined

  constructor(directory: string, handlers: StoreWatchHandlers) {
    this.handlers = handlers
    this.fd = openSync(join(directory, DATA_FILE), 'r+')
    this.look()
    this.timers = [
      setInterval(() => this.look(), STORE_LOOK_MS),
      setInterval(() => handlers.clearDeadReaders(), DEAD_READERS_MS),
    ]
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer)
    await this.looking
    await promisify(close)(this.fd)
  }

  private look(): void {
    this.handlers.onFileBytes(fstatSync(this.fd).size)
    // A flush that hangs is waited for; the next look is after it.
    this.looking ??= promisify(fdatasync)(this.fd)
      .catch((error: Error) => this.handlers.onFlushFailed(error))
      .finally(() => {
        this.looking = undefined
      })
  }
}
