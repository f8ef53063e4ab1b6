import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_SIZE_MIN } from '../../../src/shared/config/limits.js'
import {
  BATCH_SIZE_MAX,
  COMMITTEE_SIZE_MAX,
  RESEND_SLOTS,
  SYNC_SLOTS_BYTES_MAX,
  SYNC_SLOTS_PER_PEER_MAX,
  SYNC_SLOTS_PER_PEER_MIN,
  TRANSACTION_PREFIX_BYTES,
} from '../../../src/shared/constants.js'
import { byteRingBytes } from '../../../src/shared/memory/byte-ring.js'
import { COUNTERS_BYTES, THREAD_NAMES, THREADS } from '../../../src/shared/memory/counters.js'
import { DOORBELL_BYTES } from '../../../src/shared/memory/doorbell.js'
import {
  createLayout,
  inboundSlotsTotal,
  type LayoutOptions,
  ownSlotsTotal,
  type RingName,
  ringCredits,
  syncSlotsPerPeer,
} from '../../../src/shared/memory/layout.js'
import { ringBytes } from '../../../src/shared/memory/ring.js'
import { arenaBytes, slotStride } from '../../../src/shared/memory/slots.js'

const optionsArbitrary: fc.Arbitrary<LayoutOptions> = fc.record({
  ownSlots: fc.integer({ min: 4, max: 40 }),
  inboundSlotsPerPeer: fc.integer({ min: 2, max: 8 }),
  authorities: fc.integer({ min: 1, max: 12 }),
  batchBytesMax: fc.integer({ min: BATCH_SIZE_MIN, max: 20_000 }),
})

const four: LayoutOptions = { ownSlots: 32, inboundSlotsPerPeer: 8, authorities: 4, batchBytesMax: 500_000 }

/** All that lies in the control memory. */
function regionsOf(options: LayoutOptions) {
  const layout = createLayout(options)
  return [
    ...THREAD_NAMES.map((name) => ({ name: `doorbell ${name}`, ...layout.doorbells[name], bytes: DOORBELL_BYTES })),
    ...THREAD_NAMES.map((name) => ({ name: `counters ${name}`, ...layout.counters[name], bytes: COUNTERS_BYTES })),
    ...Object.entries(layout.rings).map(([name, ring]) => ({
      name: `ring ${name}`,
      ...ring,
      bytes: ringBytes(ring.capacity),
    })),
    { name: 'submit', ...layout.submit, bytes: byteRingBytes(layout.submit.capacity) },
  ]
}

describe('the layout of shared memory', () => {
  it('no two regions overlap, each is within the memory and starts on a pair of cache lines', () => {
    fc.assert(
      fc.property(optionsArbitrary, (options) => {
        const regions = regionsOf(options).sort((a, b) => a.byteOffset - b.byteOffset)
        expect(new Set(regions.map(({ buffer }) => buffer)).size).toBe(1)
        let end = 0
        for (const { byteOffset, bytes } of regions) {
          expect(byteOffset % 128).toBe(0)
          expect(byteOffset).toBeGreaterThanOrEqual(end)
          end = byteOffset + bytes
        }
        expect(end).toBeLessThanOrEqual(regions[0]!.buffer.byteLength)
      }),
      { numRuns: 50 },
    )
  })

  it('says its size: control memory and both arenas, and no more than their parts need', () => {
    fc.assert(
      fc.property(optionsArbitrary, (options) => {
        const layout = createLayout(options)
        const regions = regionsOf(options)
        const parts = regions.reduce((sum, { bytes }) => sum + bytes, 0)
        const arenas = arenaBytes(layout.own) + arenaBytes(layout.inbound)
        const slots = (ownSlotsTotal(options) + inboundSlotsTotal(options)) * slotStride(options.batchBytesMax)
        const control = regions[0]!.buffer.byteLength
        expect(layout.bytes).toBe(layout.submit.buffer.byteLength + arenas)
        // WebAssembly has pages of 64 KiB.
        expect(arenas).toBeGreaterThanOrEqual(slots)
        expect(arenas).toBeLessThan(slots + 2 * 65_536)
        expect(control).toBeLessThan(parts + 128 * regions.length)
      }),
      { numRuns: 50 },
    )
  })

  it('slots are who may hold one: own and for resending; each peer and for syncing', () => {
    expect(ownSlotsTotal(four)).toBe(32 + RESEND_SLOTS)
    expect(inboundSlotsTotal(four)).toBe(3 * (8 + syncSlotsPerPeer(four)))
    expect(inboundSlotsTotal({ ...four, authorities: 1 })).toBe(0)
  })

  it('slots for syncing take no more memory than they may, with a least and a greatest number for each peer', () => {
    const of = (authorities: number, batchBytesMax: number): number =>
      syncSlotsPerPeer({ ...four, authorities, batchBytesMax })
    expect([of(4, 500_000), of(4, 1_000_000), of(4, BATCH_SIZE_MAX)]).toEqual([8, 5, 2])
    expect([of(1, 500_000), of(COMMITTEE_SIZE_MAX, BATCH_SIZE_MIN), of(COMMITTEE_SIZE_MAX, 500_000)]).toEqual([8, 8, 2])
    for (let authorities = 2; authorities <= COMMITTEE_SIZE_MAX; authorities += 1) {
      const slots = of(authorities, 500_000)
      expect(slots).toBeGreaterThanOrEqual(SYNC_SLOTS_PER_PEER_MIN)
      expect(slots).toBeLessThanOrEqual(SYNC_SLOTS_PER_PEER_MAX)
      if (slots === SYNC_SLOTS_PER_PEER_MIN) continue
      expect(slots * (authorities - 1) * 500_000).toBeLessThanOrEqual(SYNC_SLOTS_BYTES_MAX)
    }
  })

  it('a ring holds the messages that can be in it at once', () => {
    expect(ringCredits({ ownSlots: 10, inboundSlotsPerPeer: 3, authorities: 4, batchBytesMax: 500_000 })).toEqual({
      // 10 sealed, 1 range-low
      batchMakerToMain: 11,
      // 10 slots, 10 all-certified, 2 ranges, 1 close
      mainToBatchMaker: 23,
      ownWork: 10 + RESEND_SLOTS,
      inboundWork: 3 * (3 + SYNC_SLOTS_PER_PEER_MAX),
      processorToMain: 10 + RESEND_SLOTS + 3 * (3 + SYNC_SLOTS_PER_PEER_MAX),
      // tracked, own-stored, release; of 3 peers an ACK and a resent for each slot; close
      mainToQuorumWaiter: (10 + RESEND_SLOTS) * (3 + 3 * 2) + 1,
      // certified, released, expired; of 3 peers a verdict, a held-wrong and an expired for each slot
      quorumWaiterToMain: (10 + RESEND_SLOTS) * (3 + 3 * 3),
    } satisfies Record<RingName, number>)
  })

  it('every capacity is a power of two, at least the credits and less than twice that', () => {
    fc.assert(
      fc.property(optionsArbitrary, (options) => {
        const credits = ringCredits(options)
        const { rings } = createLayout(options)
        for (const name of Object.keys(rings) as RingName[]) {
          const { capacity } = rings[name]
          expect(Number.isInteger(Math.log2(capacity))).toBe(true)
          expect(capacity).toBeGreaterThanOrEqual(credits[name])
          expect(capacity).toBeLessThan(Math.max(2 * credits[name], 3))
        }
      }),
      { numRuns: 50 },
    )
  })

  it('the submit ring holds two of the largest transactions, also where batches are largest', () => {
    for (const batchBytesMax of [BATCH_SIZE_MIN, 500_000, 524_286, 524_288, BATCH_SIZE_MAX]) {
      const { submit } = createLayout({ ownSlots: 4, inboundSlotsPerPeer: 2, authorities: 1, batchBytesMax })
      expect(submit.capacity).toBeGreaterThan(2 * (batchBytesMax + TRANSACTION_PREFIX_BYTES))
    }
  })

  it('the largest committee fits', () => {
    const options = { ...four, batchBytesMax: BATCH_SIZE_MIN, authorities: COMMITTEE_SIZE_MAX }
    expect(createLayout(options).rings.mainToQuorumWaiter.capacity).toBe(32_768)
  })

  it('the counters of every thread fit their row', () => {
    for (const name of THREAD_NAMES) {
      expect(8 * THREADS[name].counters.length).toBeLessThanOrEqual(COUNTERS_BYTES)
      expect(new Set(THREADS[name].counters).size).toBe(THREADS[name].counters.length)
    }
  })
})
