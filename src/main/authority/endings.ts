/**
 * What ends a reader: the signals that it was given. However much of it waits, each signal has one listener, and none when
 * nothing waits: signals may live as long as the process.
 */
import { setMaxListeners } from 'node:events'

const LEFT = 'the reader has left'

export interface Ending {
  /** Aborted with the first of the signals, by its reason, and by `dispose`. */
  readonly signal: AbortSignal
  readonly dispose: () => void
}

export class Endings {
  private readonly signals: readonly AbortSignal[]
  private readonly waiting = new Set<AbortController>()
  private readonly onAbort = (): void => {
    for (const controller of this.waiting) controller.abort(this.reason)
  }

  constructor(signals: readonly AbortSignal[]) {
    this.signals = signals
  }

  throwIfAborted(): void {
    for (const signal of this.signals) signal.throwIfAborted()
  }

  /** For one that waits. */
  join(): Ending {
    const controller = new AbortController()
    // All that it reads ahead listens to it: Node would take more than ten for a leak, and say so.
    setMaxListeners(0, controller.signal)
    if (this.waiting.size === 0) {
      for (const signal of this.signals) signal.addEventListener('abort', this.onAbort, { once: true })
    }
    this.waiting.add(controller)
    if (this.signals.some(({ aborted }) => aborted)) controller.abort(this.reason)
    return { signal: controller.signal, dispose: () => this.leave(controller) }
  }

  private get reason(): unknown {
    return this.signals.find(({ aborted }) => aborted)?.reason
  }

  private leave(controller: AbortController): void {
    if (!this.waiting.delete(controller)) return
    if (this.waiting.size === 0) for (const signal of this.signals) signal.removeEventListener('abort', this.onAbort)
    // With a reason: without one, an exception with its stack would be made for each commit.
    controller.abort(LEFT)
  }
}
