/** What goes wrong while a backup is made, as a user is told. */
import { NarvalError } from '../../errors.js'
import { isFull, systemReason } from '../store-error.js'

/** What a step throws that writes to the backup. @param target where it is being made */
export function writing<T>(target: string, step: () => T): T {
  try {
    return step()
  } catch (error) {
    throw backupError(target, error)
  }
}

export function backupError(target: string, error: unknown): NarvalError {
  if (error instanceof NarvalError) return error
  const why = isFull(target, error)
    ? 'no space left on its device: make room, or give --to a directory on a larger disk'
    : `${systemReason(error)}: give --to a directory that this user can make and write to`
  return new NarvalError('ERR_STORE_WRITE', `the backup cannot be written, and nothing is left of it: ${why}`, {
    cause: error,
  })
}
