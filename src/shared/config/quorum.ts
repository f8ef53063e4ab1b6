/** `2 · total / 3 + 1`, integer division: any two sets with this much stake share an honest authority. */
export function quorumOf(totalStake: number): number {
  return Math.floor((2 * totalStake) / 3) + 1
}
