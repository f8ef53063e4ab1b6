/** Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end, another one ends at once. */

/** The exit code of a process that a Ctrl-C ended: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130

/**
 * Signals closer together than this, in ms, count as one: a terminal or a supervisor signals all processes of a group,
 * and a parent passes its own signal on.
 */
const SAME_SIGNAL_MS = 300

export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Interrupt {
  /** Aborted by the first signal; its reason is a text, the signal's name. */
  readonly signal: AbortSignal
  /** Asks for the orderly end as a signal does, for another reason. */
  stop(why: string): void
  /** Lets go of the signals. */
  dispose(): void
}

/** @param atOnce called by the second signal; does not return to what was going on */
export function watchSignals(atOnce: () => void): Interrupt {
  const controller = new AbortController()
  let firstMs: number | undefined
  const stop = (why: string): void => {
    const nowMs = performance.now()
    if (firstMs === undefined) {
      firstMs = nowMs
      controller.abort(why)
    } else if (nowMs - firstMs > SAME_SIGNAL_MS) atOnce()
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  return {
    signal: controller.signal,
    stop,
    dispose: () => {
      for (const signal of SIGNALS) process.off(signal, stop)
    },
  }
}
