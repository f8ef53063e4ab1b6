/** A primary in this process: the messages of the TCP link, as objects, with nothing that queues. */
import type { Committee } from '../../../shared/config/committee.js'
import { NarvalError } from '../../../shared/errors.js'
import type { PrimaryWorkerMessage, WorkerPrimaryMessage } from '../../../shared/wire/primary-messages.js'
import { type PrimaryHandlers, PrimaryInbox } from './primary-inbox.js'
import type { PrimaryLink, PrimaryLinkHandlers, PrimaryReport } from './primary-link.js'

export interface InProcessPrimaryOptions {
  /** Takes a worker's report. It counts as delivered when this returns. */
  readonly onMessage: (message: WorkerPrimaryMessage) => void
}

/** The worker at the other end. */
export interface InProcessWorker {
  readonly committee: Committee
  /** Our authority's index. */
  readonly ownIndex: number
  readonly workerId: number
}

/** One for each worker of the authority. */
export class InProcessPrimary implements PrimaryLink {
  readonly isFull = false
  readonly queued = 0
  readonly dropped = 0
  private readonly options: InProcessPrimaryOptions
  private end: { workerId: number; inbox: PrimaryInbox; handlers: PrimaryLinkHandlers } | undefined

  constructor(options: InProcessPrimaryOptions) {
    this.options = options
  }

  /** Connects the worker; called as it starts. Errors: `ERR_USAGE` if this serves a worker already. */
  async open(worker: InProcessWorker, handlers: PrimaryLinkHandlers & PrimaryHandlers): Promise<PrimaryLink> {
    if (this.end !== undefined) {
      throw new NarvalError(
        'ERR_USAGE',
        `this InProcessPrimary serves worker ${this.end.workerId}: make another one for worker ${worker.workerId}`,
      )
    }
    this.end = { workerId: worker.workerId, inbox: new PrimaryInbox(worker, {}, handlers), handlers }
    return this
  }

  get isConnected(): boolean {
    return this.end !== undefined
  }

  /** `onReported` is called before this returns. */
  report({ type, digest }: PrimaryReport): void {
    if (this.end === undefined) return
    const { workerId, handlers } = this.end
    const copy = new Uint8Array(digest)
    this.options.onMessage({ type, digest: copy, workerId })
    if (type === 'OurBatch') handlers.onReported([copy])
  }

  /** The primary's message to the worker; it goes nowhere while there is none, as over TCP. */
  send(message: PrimaryWorkerMessage): void {
    this.end?.inbox.takeMessage(message)
  }

  async close(): Promise<void> {
    this.end = undefined
  }
}
