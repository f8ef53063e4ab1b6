/** Rejects what does not end in time, with one timer for all of it: a store has many writes a second, and none is late. */
export class Deadlines {
  private readonly timeoutMs: number
  /** In the order of their deadlines. As many as the caller has writes and flushes under way. */
  private readonly waiting = new Set<Waiting>()
  private timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs
  }

  /** Settles as the promise does; rejects if that has not ended in time. `what` is its name in the error. */
  within<T>(promise: Promise<T>, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting = { what, endsMs: performance.now() + this.timeoutMs, reject }
      this.waiting.add(waiting)
      if (this.timer === undefined) this.arm(this.timeoutMs)
      else if (this.waiting.size === 1) this.timer.ref()
      const ended = (): void => {
        this.waiting.delete(waiting)
        // It stays, so that the next write needs none of its own; a thread may end meanwhile.
        if (this.waiting.size === 0) this.timer?.unref()
      }
      promise.then(
        (value) => {
          ended()
          resolve(value)
        },
        (error: unknown) => {
          ended()
          reject(error)
        },
      )
    })
  }

  private arm(delayMs: number): void {
    this.timer = setTimeout(() => this.look(), delayMs)
  }

  private look(): void {
    this.timer = undefined
    const nowMs = performance.now()
    for (const waiting of this.waiting) {
      if (waiting.endsMs > nowMs) {
        this.arm(Math.ceil(waiting.endsMs - nowMs))
        return
      }
      this.waiting.delete(waiting)
      waiting.reject(new Error(`${waiting.what} did not end within ${this.timeoutMs} ms`))
    }
  }
}

interface Waiting {
  readonly what: string
  readonly endsMs: number
  readonly reject: (error: Error) => void
}
