/**
 * The parts of an authority, or of its primary alone, in one ordered list: each is opened behind those before it, or several
 * at once that need nothing of each other; all are closed from the end, and one that fails ends all others.
 */
import type { MetricsServer } from '../http/http-server.js'
import { Lifecycle } from '../lib/lifecycle.js'
import { Supervisor } from '../lib/supervisor.js'

/** The primary or a worker. */
export interface Part {
  readonly stopped: Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

export class Parts {
  readonly lifecycle = new Lifecycle()
  readonly supervisor = new Supervisor((error) => this.fail(error))
  /** Why all of it ended, when a part ended with an error. */
  private readonly reasonOf: (error: Error) => Error
  /** The parts that are being opened. */
  private readonly opening = new Set<Part>()

  constructor(reasonOf: (error: Error) => Error = (error) => error) {
    this.reasonOf = reasonOf
  }

  /** Whether it runs, or is on its way to: what has failed does not come back by itself. */
  get isAlive(): boolean {
    return this.lifecycle.error === undefined
  }

  /** After a failure it goes on, to say so. */
  async openHttp(http: MetricsServer | undefined): Promise<void> {
    if (http === undefined) return
    await this.lifecycle.open(
      'metrics',
      () => http.listen(),
      (_, ending) => (ending === 'in-order' ? http.close() : undefined),
    )
  }

  async open(name: string, part: Part): Promise<void> {
    this.opening.add(part)
    try {
      await this.lifecycle.open(
        name,
        () => part.start(),
        () => part.close(),
      )
    } finally {
      this.opening.delete(part)
    }
    const ended = part.stopped.catch((error: Error) => this.fail(this.reasonOf(error)))
    this.supervisor.watch('the end of a part', ended)
  }

  /** Closes in order, also while it starts. */
  close(): Promise<void> {
    const closed = this.lifecycle.close()
    this.endOpening()
    return closed
  }

  private fail(error: Error): void {
    this.lifecycle.fail(error)
    this.endOpening()
  }

  /** What a part finds that is closed while it starts is what `start` rejects with. */
  private endOpening(): void {
    for (const part of this.opening) part.close().catch(() => {})
  }
}
