/** Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once. */
import { LOCAL_SIGNAL_REPEAT_MS } from '../../shared/constants.js'

/** The exit code of a process that a Ctrl-C ended: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130

export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal
  /** Lets go of the signals. */
  dispose(): void
}

/** @param atOnce called by the second signal; does not return to what was going on */
export function watchSignals(atOnce: () => void): Interrupt {
  const controller = new AbortController()
  let firstMs: number | undefined
  const onSignal = (): void => {
    const nowMs = performance.now()
    if (firstMs === undefined) {
      firstMs = nowMs
      controller.abort()
    } else if (nowMs - firstMs > LOCAL_SIGNAL_REPEAT_MS) {
      atOnce()
    }
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('SIGHUP', onSignal)
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
      process.off('SIGHUP', onSignal)
    },
  }
}
