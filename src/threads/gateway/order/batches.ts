/** The bytes of ordered batches: from the worker's store, or once main has had them fetched. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoggedBatch } from '../../../shared/store/primary/commit-log-reader.js'
import { BATCH_AGAIN_MS } from '../limits.js'
import type { MainClient } from '../main-client.js'

export class Batches {
  private readonly stored: (batch: LoggedBatch) => Uint8Array | undefined
  private readonly main: Pick<MainClient, 'ask'>
  /** Batches that main was asked for, by digest: however many wait, it is asked once. Bounded by the readers. */
  private readonly asked = new Map<string, Promise<void>>()

  constructor(stored: (batch: LoggedBatch) => Uint8Array | undefined, main: Pick<MainClient, 'ask'>) {
    this.stored = stored
    this.main = main
  }

  /** Rejects with a CommitsPrunedError, or the signal's reason. */
  async bytesOf(batch: LoggedBatch, commit: number, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      signal.throwIfAborted()
      const bytes = this.stored(batch)
      if (bytes !== undefined) return bytes
      await this.fetched(batch, commit)
    }
  }

  private fetched(batch: LoggedBatch, commit: number): Promise<void> {
    const key = Buffer.from(batch.digest).toString('base64')
    const asked = this.asked.get(key)
    if (asked !== undefined) return asked
    const asking = this.ask(batch, commit).finally(() => this.asked.delete(key))
    this.asked.set(key, asking)
    return asking
  }

  private async ask(batch: LoggedBatch, commit: number): Promise<void> {
    const isThere = await this.main.ask({ type: 'batch', commit, batch })
    if (!isThere) await sleep(BATCH_AGAIN_MS)
  }
}
