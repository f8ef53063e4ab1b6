/** Whether a primary does what it is there for: order what workers certify. A pure function. */

export interface PrimaryHealthState {
  readonly ownStake: number
  /** Stake of the primaries that are connected. */
  readonly connectedStake: number
  readonly quorumThreshold: number
  /** The store is open and nothing has asked for the end. */
  readonly isOpen: boolean
  /** Nothing may be signed yet. */
  readonly isRecovering: boolean
}

export interface PrimaryHealth {
  readonly ok: boolean
  /** Our stake and that of the connected primaries is a quorum. */
  readonly quorumConnected: boolean
  /** It signs nothing yet, since its store is new or an old backup. */
  readonly recovering: boolean
  /** For people: what is wrong and what to do. */
  readonly problems: readonly string[]
}

export function primaryHealthOf(state: PrimaryHealthState): PrimaryHealth {
  const stake = state.ownStake + state.connectedStake
  const quorumConnected = stake >= state.quorumThreshold
  const problems: string[] = []
  if (!quorumConnected) {
    problems.push(
      `stake ${stake} is connected, our own ${state.ownStake} included, and a quorum takes ${state.quorumThreshold}: check that the other primaries run, and their addresses in the committee file`,
    )
  }
  if (!state.isOpen) problems.push('the node is closing')
  if (state.isRecovering)
    problems.push('nothing is signed until a quorum of the others has answered: the store is new, or a backup')
  return {
    ok: quorumConnected && state.isOpen && !state.isRecovering,
    quorumConnected,
    recovering: state.isRecovering,
    problems,
  }
}
