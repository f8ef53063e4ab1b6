import { NarvalError } from '../../shared/errors.js'

/** The worker closes while something is asked of the store: that is all there is to say. */
export function ignoreClosed(error: unknown): void {
  if (!(error instanceof NarvalError && error.code === 'ERR_CLOSED')) throw error
}
