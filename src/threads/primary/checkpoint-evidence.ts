/** What becomes of a checkpoint that an authority has signed and that says something else than ours, or than another of its own. */
import type { Checkpoint, SignedCheckpoint } from '../../shared/wire/primary/checkpoint.js'
import type { TurnBuilder } from './turn.js'

/**
 * The signature is valid, and `other` says something else of the same commit. It is evidence against its signer if a quorum
 * has signed `other`, or the same signer has.
 */
export function differingCheckpoint(differing: SignedCheckpoint, _other: Checkpoint, turn: TurnBuilder): void {
  const { index, signer } = differing
  turn.notice({ type: 'checkpoint-differs', author: signer, index })
}
