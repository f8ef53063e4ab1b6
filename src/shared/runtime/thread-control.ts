/**
 * What a thread tells main over its message port, beside its rings: that it is ready or cannot start, and lines for
 * the log. Main writes the log, so that lines of all threads stand in one order.
 */
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../errors.js'
import { NarvalError } from '../errors.js'
import type { LogLevel } from './log-level.js'

export type ThreadReport =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly code: ErrorCode | undefined; readonly message: string }
  | { readonly type: 'log'; readonly level: LogLevel; readonly text: string }

export function report(port: MessagePort, message: ThreadReport): void {
  port.postMessage(message)
}

/** Says why the thread cannot start, or cannot go on; it ends right after. */
export function reportFailure(port: MessagePort, error: unknown): void {
  report(port, {
    type: 'failed',
    code: error instanceof NarvalError ? error.code : undefined,
    message: error instanceof NarvalError ? error.message : ((error as Error).stack ?? String(error)),
  })
}

/** Lets the first occurrence of a key through, and then one in `intervalMs` of a clock that nobody sets; the keys are few and fixed. */
export class LogLimiter {
  private readonly intervalMs: number
  private readonly last = new Map<string, number>()
  private readonly suppressed = new Map<string, number>()

  constructor(intervalMs = 10_000) {
    this.intervalMs = intervalMs
  }

  /** Null if the line is to be kept back; else how many were kept back since the last one. */
  admit(key: string, nowMs: number): number | null {
    const last = this.last.get(key)
    if (last !== undefined && nowMs - last < this.intervalMs) {
      this.suppressed.set(key, (this.suppressed.get(key) ?? 0) + 1)
      return null
    }
    this.last.set(key, nowMs)
    const suppressed = this.suppressed.get(key) ?? 0
    this.suppressed.delete(key)
    return suppressed
  }
}
