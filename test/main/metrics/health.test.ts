import { describe, expect, it } from 'vitest'
import { healthJson, healthOf, UNCERTIFIED_MS_MAX } from '../../../src/main/metrics/health.js'
import { HEALTHY } from '../../support/metrics-sources.js'

describe('health', () => {
  it('a quorum of stake with our own, and a store that takes writes, are ok without a problem', () => {
    expect(healthOf(HEALTHY)).toEqual({
      ok: true,
      quorumConnected: true,
      certifying: true,
      storeWritable: true,
      storeFull: false,
      primaryConnected: true,
      primaryCommitting: true,
      problems: [],
    })
  })

  it('stake one below the threshold is not ok, and the problem names both', () => {
    const health = healthOf({ ...HEALTHY, connectedStake: 66, ownStake: 34, quorumThreshold: 101 })
    expect(health).toMatchObject({ ok: false, quorumConnected: false, storeWritable: true })
    expect(health.problems).toEqual([expect.stringMatching(/stake 100 .*own 34 .*takes 101/)])
    expect(healthOf({ ...HEALTHY, connectedStake: 67, ownStake: 34, quorumThreshold: 101 }).ok).toBe(true)
  })

  it('what keeps peers from counting is named, and does not make a quorum of the others unfit', () => {
    const health = healthOf({ ...HEALTHY, peerProblems: ['one', 'two'] })
    expect(health).toMatchObject({ ok: true, problems: ['one', 'two'] })
  })

  it('a batch that waits for its quorum for long makes it unfit, and the problem says how long', () => {
    expect(healthOf({ ...HEALTHY, uncertifiedMs: UNCERTIFIED_MS_MAX })).toMatchObject({ ok: true, certifying: true })
    const health = healthOf({ ...HEALTHY, uncertifiedMs: UNCERTIFIED_MS_MAX + 2_000 })
    expect(health).toMatchObject({ ok: false, certifying: false, quorumConnected: true })
    expect(health.problems).toEqual([expect.stringContaining('waited 12 s')])
  })

  it('a peer without a stream for our batches is named, and does not make a quorum of the others unfit', () => {
    expect(healthOf({ ...HEALTHY, streamProblems: ['one'] })).toMatchObject({ ok: true, problems: ['one'] })
  })

  it('a committee of one is ok alone', () => {
    expect(healthOf({ ...HEALTHY, connectedStake: 0, ownStake: 1, quorumThreshold: 1 }).ok).toBe(true)
  })

  it('a full store is not ok, and the problem names the parameters to change', () => {
    const health = healthOf({ ...HEALTHY, storeFull: true })
    expect(health).toMatchObject({ ok: false, quorumConnected: true, storeWritable: false, storeFull: true })
    expect(health.problems).toEqual([expect.stringMatching(/store_bytes_max or lower retention_rounds/)])
    const filling = healthOf({ ...HEALTHY, ownShareUsed: 750, shareUsedAtQuorum: 876 })
    expect(filling).toMatchObject({ ok: true, storeFull: false })
    expect(filling.problems).toEqual([
      expect.stringMatching(/^87.6 % of our share of the others' stores is used/),
      expect.stringMatching(/^75 % of our share of our own store is used/),
    ])
    expect(healthOf({ ...HEALTHY, storeFull: true, keepsAll: true, isOrdered: true }).problems).toEqual([
      expect.stringMatching(/what is not ordered yet takes all of it/),
    ])
    const { problems } = healthOf({ ...HEALTHY, storeFull: true, keepsAll: true })
    expect(problems).toEqual([
      expect.stringMatching(/retention_rounds is 0 \(raise store_bytes_max or set retention_rounds/),
    ])
  })

  it('a store that is not open is not ok, and is not called full', () => {
    const health = healthOf({ ...HEALTHY, storeOpen: false })
    expect(health).toMatchObject({ ok: false, storeWritable: false, storeFull: false })
    expect(health.problems).toHaveLength(1)
  })

  it('a primary that is away is named, and the node is ok', () => {
    const health = healthOf({ ...HEALTHY, primaryConnected: false })
    expect(health).toMatchObject({ ok: true, primaryConnected: false })
    expect(health.problems).toEqual([expect.stringContaining('primary')])
  })

  it('a primary that commits nothing is named, and the node is ok', () => {
    const health = healthOf({ ...HEALTHY, primaryStill: 'the primary has sent no Cleanup for 4 s' })
    expect(health).toMatchObject({ ok: true, primaryConnected: true, primaryCommitting: false })
    expect(health.problems).toEqual([expect.stringContaining('no Cleanup for 4 s')])
  })

  it('every problem is named, not the first alone', () => {
    const state = { ...HEALTHY, connectedStake: 0, storeOpen: false, storeFull: true, primaryConnected: false }
    expect(healthOf(state).problems).toHaveLength(4)
  })

  it('is answered as one line of JSON with keys in snake_case', () => {
    const text = healthJson(healthOf({ ...HEALTHY, storeFull: true }))
    expect(text.indexOf('\n')).toBe(text.length - 1)
    expect(JSON.parse(text)).toEqual({
      ok: false,
      quorum_connected: true,
      certifying: true,
      store_writable: false,
      store_full: true,
      primary_connected: true,
      primary_committing: true,
      problems: [expect.any(String)],
    })
  })
})
