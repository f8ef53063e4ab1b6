/** The time of a commit, from what the authorities' clocks said, and the same for all of them. */
import { members } from './authority-set.js'
import type { Dag } from './dag.js'
import type { Stakes } from './stakes.js'
import type { Vertex } from './types.js'

/**
 * The median by stake of the times in the anchor's parents, and never less than `previous`.
 *
 * The median is the least of these times at or below which half of their stake is. The parents have a quorum of the stake,
 * of which at most F lies, which is less than half: so an honest clock shows at most that, and one shows at least that.
 * An anchor of round 1 has no parents but genesis, and takes the time of the commit before.
 */
export function commitTimestamp(dag: Dag, anchor: Vertex, stakes: Stakes, previous: number): number {
  const times = members(anchor.parents).map((author) => ({
    stake: stakes.of(author),
    createdAt: dag.vertex(anchor.round - 1, author)!.certificate.header.createdAt,
  }))
  return Math.max(previous, medianByStake(times) ?? previous)
}

export interface StakedTime {
  readonly stake: number
  readonly createdAt: number
}

/** The least of these times at or below which half of their stake is; undefined if there are none. */
export function medianByStake(times: readonly StakedTime[]): number | undefined {
  const total = times.reduce((sum, { stake }) => sum + stake, 0)
  let stake = 0
  for (const time of [...times].sort((a, b) => a.createdAt - b.createdAt)) {
    stake += time.stake
    if (2 * stake >= total) return time.createdAt
  }
  return undefined
}
