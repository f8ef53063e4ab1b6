/** The order has forked, or our own store is wrong: in either case ordering stops. */
import { NarvalError } from '../../shared/errors.js'

/** @param found what shows it */
export function forkError(found: string): NarvalError {
  return new NarvalError(
    'ERR_FORK',
    `${found}: either our store is not what this node has ordered, or more than a third of the stake has lied. ` +
      'Ordering stops. Compare the logs (narval checkpoint, narval verify-log): if only ours differs, begin with a new store and --recovered',
  )
}
