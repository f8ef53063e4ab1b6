/**
 * What was opened, in one ordered list, closed from its end: by `close` in order, by `fail` without waiting for what can
 * no longer answer. There is no other way to end, so the two cannot differ in what they close.
 */
import { NarvalError } from '../../shared/errors.js'

/** `failed`: something of the node is dead; nothing may be waited for that may depend on it. */
export type Ending = 'in-order' | 'failed'

interface Opened {
  readonly name: string
  readonly close: (ending: Ending) => void | Promise<void>
}

export class Lifecycle {
  /** Resolves once all is closed; rejects with the failure that ended it. */
  readonly stopped: Promise<void>
  private readonly list: Opened[] = []
  /** All that is being opened now, or was. Never rejects. */
  private opening: Promise<unknown> = Promise.resolve()
  private hasEnded = false
  private failure: Error | undefined
  private closing: Promise<void> | undefined
  private settle!: { resolve: () => void; reject: (error: Error) => void }

  constructor() {
    this.stopped = new Promise((resolve, reject) => {
      this.settle = { resolve, reject }
    })
    // Whoever does not look at `stopped` hears of the failure from whatever it calls next.
    this.stopped.catch(() => {})
  }

  /** Whether nothing has asked for the end yet. */
  get isOpen(): boolean {
    return this.closing === undefined
  }

  /** Why it failed. */
  get error(): Error | undefined {
    return this.failure
  }

  /**
   * Opens something, and remembers how it is closed: before all that was open earlier. If the end is asked for
   * meanwhile, what was opened is closed with the rest, and this rejects. An orderly end waits for what is being
   * opened, since that may need what was opened earlier; a failed one does not.
   */
  async open<T>(
    name: string,
    open: () => T | Promise<T>,
    close: (opened: T, ending: Ending) => void | Promise<void>,
  ): Promise<T> {
    this.check()
    const opening = this.openOne(name, open, close)
    // Several may be opened at once.
    this.opening = Promise.allSettled([this.opening, opening])
    const opened = await opening
    this.check()
    return opened
  }

  /** Closes everything from the end of the list. Rejects with the first failure, after everything is closed. */
  close(): Promise<void> {
    this.closing ??= this.closeFromEnd()
    return this.closing
  }

  /** Something cannot go on: everything is closed, and `stopped` rejects with why. The first failure counts. */
  fail(error: Error): void {
    this.failure ??= error
    this.close().catch(() => {})
  }

  private check(): void {
    if (this.isOpen) return
    throw this.failure ?? new NarvalError('ERR_CLOSED', 'it was closed while it started')
  }

  private async openOne<T>(
    name: string,
    open: () => T | Promise<T>,
    close: (opened: T, ending: Ending) => void | Promise<void>,
  ): Promise<T> {
    const opened = await open()
    if (this.hasEnded) await close(opened, 'failed')
    else this.list.push({ name, close: (ending) => close(opened, ending) })
    return opened
  }

  private async closeFromEnd(): Promise<void> {
    // Whoever called is not to be closed under its own feet.
    await Promise.resolve()
    if (this.failure === undefined) await this.opening
    for (let last = this.list.pop(); last !== undefined; last = this.list.pop()) {
      try {
        await last.close(this.failure === undefined ? 'in-order' : 'failed')
      } catch (error) {
        this.failure ??= error as Error
      }
    }
    this.hasEnded = true
    if (this.failure === undefined) {
      this.settle.resolve()
      return
    }
    this.settle.reject(this.failure)
    throw this.failure
  }
}
