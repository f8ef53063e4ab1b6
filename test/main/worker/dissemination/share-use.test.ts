/** How full our share of the others' stores is, and how slow we are for that. */
import { describe, expect, test } from 'vitest'
import { SHARE_PAUSE_MS_MAX } from '../../../../src/main/worker/dissemination/limits.js'
import { ShareUse } from '../../../../src/main/worker/dissemination/share-use.js'

function make(stakes = [1, 1, 1, 1], open = new Set([1, 2, 3])): { use: ShareUse; open: Set<number> } {
  const peers = stakes.map((_, index) => index).slice(1)
  const total = stakes.reduce((sum, stake) => sum + stake, 0)
  const quorumThreshold = Math.floor((2 * total) / 3) + 1
  return { use: new ShareUse({ peers, stakes, ownIndex: 0, quorumThreshold }, (peer) => open.has(peer)), open }
}

describe('our share of the others’ stores', () => {
  test('slows us down from its half on, and as much as can be when it is full', () => {
    const { use } = make()
    const pauses = [0, 500, 501, 750, 1000].map((used) => {
      for (const peer of [1, 2, 3]) use.heard(peer, used)
      return use.pauseMs
    })
    expect(pauses).toEqual([0, 0, SHARE_PAUSE_MS_MAX / 500, SHARE_PAUSE_MS_MAX / 2, SHARE_PAUSE_MS_MAX])
  })

  test('is what a quorum has: a liar, or one that lags behind, slows nobody down', () => {
    const { use } = make()
    use.heard(1, 1000)
    expect([use.ofQuorum, use.pauseMs, use.of(1)]).toEqual([0, 0, 1000])
    use.heard(2, 800)
    use.heard(3, 600)
    expect(use.ofQuorum).toBe(800)
    const heavy = make([1, 3, 1, 1]).use
    heavy.heard(1, 900)
    expect(heavy.ofQuorum).toBe(900)
  })

  test('of one that is away says nothing, nor does anybody’s when there is no quorum, or with a quorum that we are', () => {
    const { open, use } = make()
    for (const peer of [1, 2, 3]) use.heard(peer, peer * 300)
    expect(use.ofQuorum).toBe(600)
    open.delete(1)
    use.lost(1)
    expect([use.ofQuorum, use.of(1)]).toEqual([900, 0])
    open.delete(2)
    expect(use.ofQuorum).toBe(0)
    // It comes back, and nothing is known of it.
    open.add(1)
    expect(use.ofQuorum).toBe(900)
    const mighty = make([10, 1, 1, 1]).use
    for (const peer of [1, 2, 3]) mighty.heard(peer, 1000)
    expect(mighty.ofQuorum).toBe(0)
  })
})
