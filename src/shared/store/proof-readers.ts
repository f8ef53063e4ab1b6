/** The readers of one authority's stores that proofs are made of: `proveOrdered`. They hold files open, and nothing else. */
import { primaryDirectory, storesIn, workerDirectory } from './authority-directories.js'
import { CertificateReader } from './primary/certificate-reader.js'
import { CheckpointReader } from './primary/checkpoint-reader.js'
import { CommitLogReader, type LoggedBatch } from './primary/commit-log-reader.js'
import type { ProofSources } from './prove-ordered.js'
import { openStoreReader, type StoreReader } from './store-reader.js'

export class ProofReaders implements ProofSources {
  readonly log: CommitLogReader
  readonly checkpoints: CheckpointReader
  readonly certificates: CertificateReader
  private readonly workers = new Map<number, StoreReader>()
  private readonly opened: { close(): void }[] = []

  /**
   * @param store the directory of an authority, whether a node runs it or not
   * @throws NarvalError ERR_FILE_MISSING, ERR_STORE_FORMAT, ERR_STORE_DAMAGED
   */
  constructor(store: string) {
    try {
      const directory = primaryDirectory(store)
      this.log = this.keep(new CommitLogReader(directory))
      this.checkpoints = this.keep(new CheckpointReader(directory, this.log.settings))
      this.certificates = this.keep(new CertificateReader(directory, this.log.settings))
      for (const [name] of storesIn(store)) {
        if (!name.startsWith('worker-')) continue
        const id = Number(name.slice('worker-'.length))
        this.workers.set(id, this.keep(openStoreReader(workerDirectory(store, id))))
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Our worker with the same id as the batch's has it; it is whole, or it is not there. */
  readonly batch = ({ digest, worker }: LoggedBatch): Uint8Array | undefined => {
    const found = this.workers.get(worker)?.get(digest)
    return found?.isWhole ? found.bytes : undefined
  }

  close(): void {
    for (const reader of this.opened.splice(0)) reader.close()
  }

  private keep<T extends { close(): void }>(reader: T): T {
    this.opened.push(reader)
    return reader
  }
}
