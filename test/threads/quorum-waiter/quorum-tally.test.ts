import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACK_VERDICTS, type QuorumTallyOptions } from '../../../src/shared/memory/dialogue/quorum-waiter.js'
import { ACK_LEVELS, ACK_STATUSES, isInMask, peerMask } from '../../../src/shared/wire/ack.js'
import { QuorumTally, type TallyVerdict } from '../../../src/threads/quorum-waiter/quorum-tally.js'

const { stored, durable } = ACK_LEVELS
const { ok } = ACK_STATUSES
const digest = new Uint8Array(32).fill(0xd1)
const otherDigest = new Uint8Array(32).fill(0x0d)

/** Four authorities of stake 1, of which we are the first; 2 · 4 / 3 + 1 = 3 certify. */
function tallyOf(options: Partial<QuorumTallyOptions> = {}): QuorumTally {
  return new QuorumTally({
    stakes: [1, 1, 1, 1],
    ownIndex: 0,
    quorumThreshold: 3,
    entriesMax: 8,
    requiredLevel: durable,
    freshRounds: 50,
    ...options,
  })
}

/** A tally with one batch, sequence 7, sent to the three others. */
function sent(options: Partial<QuorumTallyOptions> = {}): QuorumTally {
  const tally = tallyOf(options)
  tally.track(7n, peerMask([1, 2, 3]))
  return tally
}

function countsOf(tally: QuorumTally): Partial<Record<TallyVerdict, number>> {
  return Object.fromEntries(Object.entries(tally.counts).filter(([, count]) => count !== 0))
}

describe('certifying', () => {
  it('wait_for_quorum: our own copy and the ACKs of a quorum certify, once', () => {
    const tally = sent()
    expect(tally.ownStored(7n, digest, durable)).toBe(false)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('certified')
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('late')
    expect(countsOf(tally)).toEqual({ counted: 2, certified: 1, late: 1 })
  })

  it('ACKs of a quorum without our own copy certify nothing', () => {
    const tally = sent()
    for (const peer of [1, 2, 3]) expect(tally.ack(peer, 7n, digest, durable, ok)).toBe('held')
    expect(tally.counts.certified).toBe(0)
    expect(tally.ownStored(7n, digest, durable)).toBe(true)
    expect(countsOf(tally)).toEqual({ held: 3, counted: 3, certified: 1 })
  })

  it('our own copy below the required level certifies only once it is raised', () => {
    const tally = sent()
    expect(tally.ownStored(7n, digest, stored)).toBe(false)
    for (const peer of [1, 2, 3]) expect(tally.ack(peer, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ownStored(7n, digest, durable)).toBe(true)
    expect(tally.ownStored(7n, digest, durable)).toBe(false)
    expect(tally.counts.certified).toBe(1)
  })

  it('a committee of one certifies on storing', () => {
    const tally = tallyOf({ stakes: [5], quorumThreshold: 4 })
    tally.track(1n, peerMask([]))
    expect(tally.ownStored(1n, digest, durable)).toBe(true)
  })

  it('own stake that is a quorum alone certifies on storing, and the peers are late', () => {
    const tally = sent({ stakes: [10, 1, 1, 1], quorumThreshold: 9 })
    expect(tally.ownStored(7n, digest, durable)).toBe(true)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('late')
  })

  it('goes by stake, not by heads', () => {
    const tally = sent({ stakes: [1, 1, 1, 7], quorumThreshold: 7 })
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('certified')
  })

  it('a peer without stake adds nothing', () => {
    const tally = sent({ stakes: [1, 0, 1, 1] })
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('certified')
  })

  it('at level stored, a durable ACK counts too', () => {
    const tally = sent({ requiredLevel: stored })
    tally.ownStored(7n, digest, stored)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(2, 7n, digest, stored, ok)).toBe('certified')
  })

  it('one batch does not wait for another: the last tracked may be certified first', () => {
    const tally = tallyOf()
    for (const sequence of [1n, 2n, 3n]) {
      tally.track(sequence, peerMask([1, 2, 3]))
      tally.ownStored(sequence, digest, durable)
      tally.ack(1, sequence, digest, durable, ok)
    }
    expect(tally.ack(2, 3n, digest, durable, ok)).toBe('certified')
    expect(tally.ack(2, 1n, digest, durable, ok)).toBe('certified')
    expect(tally.ack(2, 2n, digest, durable, ok)).toBe('certified')
  })

  it('the digests handed in are copied: a reused buffer changes nothing', () => {
    const tally = sent()
    const buffer = digest.slice()
    expect(tally.ack(1, 7n, buffer, durable, ok)).toBe('held')
    buffer.fill(0)
    buffer.set(digest)
    tally.ownStored(7n, buffer, durable)
    buffer.fill(0)
    expect(tally.counts.counted).toBe(1)
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('certified')
  })
})

describe('ACKs that are too old', () => {
  const at = (rounds: number, awayMs = 0) => ({ rounds, awayMs })
  /** The peers whose ACKs the last call took back. */
  const expired = (tally: QuorumTally): number[] | undefined => {
    const taken = tally.takeExpired()
    return taken && [1, 2, 3].filter((peer) => isInMask(taken.peers, peer))
  }

  it('do not count when a quorum is reached, and do when they come again', () => {
    const tally = sent({ freshRounds: 50 })
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
    tally.advance(at(51))
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('counted')
    expect(expired(tally)).toEqual([1])
    // Said once. A word that was not asked for does not count.
    expect(expired(tally)).toBeUndefined()
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('not-sent')
    tally.addPeer(7n, 1)
    tally.advance(at(60))
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('certified')
    expect(tally.certifiedSince(7n)).toEqual(at(51))
    expect(countsOf(tally)).toEqual({ counted: 3, certified: 1, 'not-sent': 1 })
  })

  it('count at half of the retention, and not a round later', () => {
    for (const [rounds, verdict] of [
      [50, 'certified'],
      [50.5, 'counted'],
    ] as const) {
      const tally = sent({ freshRounds: 50 })
      tally.ownStored(7n, digest, durable)
      tally.ack(1, 7n, digest, durable, ok)
      tally.advance(at(rounds))
      expect(tally.ack(2, 7n, digest, durable, ok)).toBe(verdict)
    }
  })

  it('are as old as they came, although they were held until our own copy was stored', () => {
    const tally = sent({ freshRounds: 50 })
    tally.ack(1, 7n, digest, durable, ok)
    tally.advance(at(30))
    tally.ack(2, 7n, digest, durable, ok)
    tally.advance(at(60))
    expect(tally.ownStored(7n, digest, durable)).toBe(false)
    expect(expired(tally)).toEqual([1])
    tally.addPeer(7n, 1)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('certified')
    expect(tally.certifiedSince(7n)).toEqual(at(30))
  })

  it('are not missed where the others are a quorum, and say nothing of the age of the certificate', () => {
    const tally = sent({ stakes: [1, 1, 3, 2], quorumThreshold: 5, freshRounds: 50 })
    tally.ownStored(7n, digest, durable)
    tally.ack(1, 7n, digest, durable, ok)
    tally.advance(at(40, 7))
    tally.ack(3, 7n, digest, durable, ok)
    tally.advance(at(80, 9))
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('certified')
    expect(expired(tally)).toBeUndefined()
    expect(tally.certifiedSince(7n)).toEqual(at(40, 7))
  })

  it('change nothing once a batch is certified', () => {
    const tally = sent({ freshRounds: 50 })
    tally.ownStored(7n, digest, durable)
    tally.ack(1, 7n, digest, durable, ok)
    tally.ack(2, 7n, digest, durable, ok)
    tally.advance(at(1_000))
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('late')
    expect(expired(tally)).toBeUndefined()
    expect(tally.certifiedSince(7n)).toEqual(at(0))
  })

  it('of the entry before are not those of the next one in its place', () => {
    const tally = sent({ entriesMax: 1, freshRounds: 50 })
    tally.ack(1, 7n, digest, durable, ok)
    tally.release(7n)
    tally.advance(at(60))
    tally.track(8n, peerMask([1, 2, 3]))
    tally.ownStored(8n, digest, durable)
    tally.ack(1, 8n, digest, durable, ok)
    expect(tally.ack(2, 8n, digest, durable, ok)).toBe('certified')
  })

  it('are none without retention: nothing is ever deleted', () => {
    const tally = sent({ freshRounds: Number.POSITIVE_INFINITY })
    tally.ownStored(7n, digest, durable)
    tally.ack(1, 7n, digest, durable, ok)
    tally.advance(at(1e15, 1e9))
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('certified')
  })

  it('come together in the end, also where each peer takes longer to answer than an ACK counts', () => {
    // Two peers hold the batch, and their answers make the quorum. Each comes three rounds after it is asked for at the
    // earliest, and counts for one. They are half a round apart when both are asked at once.
    const latency = new Map([
      [1, 3],
      [2, 3.5],
    ])
    const tally = tallyOf({ freshRounds: 1 })
    tally.track(7n, peerMask([1, 2]))
    tally.ownStored(7n, digest, durable)
    const due = new Map([
      [1, 3],
      // At first it was away.
      [2, 100],
    ])
    let asked = 2
    for (let answers = 0; answers < 50; answers += 1) {
      const [peer, now] = [...due].sort(([, a], [, b]) => a - b)[0]!
      due.delete(peer)
      tally.advance(at(now))
      if (tally.ack(peer, 7n, digest, durable, ok) === 'certified') {
        expect(now - tally.certifiedSince(7n).rounds).toBeLessThanOrEqual(1)
        expect(asked).toBe(5)
        return
      }
      for (const again of expired(tally) ?? []) {
        tally.addPeer(7n, again)
        due.set(again, now + latency.get(again)!)
        asked += 1
      }
    }
    expect.unreachable('it is never certified')
  })

  it('are taken back one by one at first: what has not expired before is kept', () => {
    const tally = sent({ entriesMax: 1, freshRounds: 50 })
    const expire = (sequence: bigint, rounds: number): number[] | undefined => {
      tally.advance(at(rounds))
      tally.ack(1, sequence, digest, durable, ok)
      tally.advance(at(rounds + 51))
      expect(tally.ack(2, sequence, digest, durable, ok)).toBe('counted')
      return expired(tally)
    }
    tally.ownStored(7n, digest, durable)
    expect(expire(7n, 10)).toEqual([1])
    tally.addPeer(7n, 1)
    tally.advance(at(200))
    tally.ack(1, 7n, digest, durable, ok)
    expect(expired(tally)).toEqual([1, 2])
    // The ACK that was not too old counts on until the peer answers again: it may be away.
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('certified')
    // The next batch in its place begins anew.
    tally.release(7n)
    tally.track(8n, peerMask([1, 2, 3]))
    tally.ownStored(8n, digest, durable)
    expect(expire(8n, 300)).toEqual([1])
  })

  it('count no more once the peer, asked again, refuses or names another batch', () => {
    for (const [named, status] of [
      [digest, ACK_STATUSES['store-full']],
      [new Uint8Array(32).fill(99), ok],
    ] as const) {
      const tally = sent({ freshRounds: 50 })
      tally.ownStored(7n, digest, durable)
      tally.ack(1, 7n, digest, durable, ok)
      tally.advance(at(60))
      tally.ack(2, 7n, digest, durable, ok)
      tally.addPeer(7n, 1)
      tally.advance(at(120))
      // The ACK of 2 is too old, and that of 1 is asked for once more.
      tally.ack(1, 7n, digest, durable, ok)
      expect(expired(tally)).toEqual([1, 2])
      expect(tally.ack(1, 7n, named, durable, status)).not.toBe('counted')
      tally.addPeer(7n, 2)
      expect(tally.ack(2, 7n, digest, durable, ok)).toBe('counted')
      // That was no quorum, and so nothing was asked of anybody.
      expect(expired(tally)).toBeUndefined()
      tally.addPeer(7n, 1)
      expect(tally.ack(1, 7n, digest, durable, ok)).toBe('certified')
    }
  })

  it('never make a certificate, in whatever order peers answer and rounds pass', () => {
    const step = fc.record({ peer: fc.integer({ min: 1, max: 6 }), rounds: fc.integer({ min: 0, max: 40 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const tally = tallyOf({ stakes: [1, 1, 1, 1, 1, 1, 1], quorumThreshold: 5, freshRounds: 50 })
        tally.track(7n, peerMask([1, 2, 3, 4, 5, 6]))
        tally.ownStored(7n, digest, durable)
        const ackedAt = new Map<number, number>()
        let now = 0
        for (const { peer, rounds } of steps) {
          now += rounds
          tally.advance(at(now))
          const verdict = tally.ack(peer, 7n, digest, durable, ok)
          if (verdict === 'counted' || verdict === 'certified') ackedAt.set(peer, now)
          const holders = [...ackedAt.values()].filter((acked) => now - acked <= 50).length
          if (verdict === 'certified') return holders >= 4
          if (verdict === 'counted' && holders >= 4) return false
          const taken = tally.takeExpired()
          for (let again = 1; taken !== undefined && again <= 6; again += 1) {
            if (!isInMask(taken.peers, again)) continue
            if (now - ackedAt.get(again)! > 50) ackedAt.delete(again)
            tally.addPeer(7n, again)
          }
        }
        return true
      }),
    )
  })
})

describe('refusing', () => {
  it('an ACK of an unknown sequence, and of one that was released', () => {
    const tally = sent()
    expect(tally.ack(1, 8n, digest, durable, ok)).toBe('unknown-sequence')
    tally.ownStored(7n, digest, durable)
    tally.release(7n)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('unknown-sequence')
    expect(tally.counts['unknown-sequence']).toBe(2)
  })

  it('an ACK of a peer that was not sent the batch', () => {
    const tally = tallyOf()
    tally.track(7n, peerMask([1]))
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('not-sent')
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('not-sent')
    expect(tally.counts.counted).toBe(0)
  })

  it('an ACK in our own name', () => {
    const tally = sent()
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(0, 7n, digest, durable, ok)).toBe('not-sent')
  })

  it('a duplicate, whether counted, held or late', () => {
    const tally = sent()
    tally.ack(1, 7n, digest, durable, ok)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('duplicate')
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('duplicate')
    expect(tally.counts.certified).toBe(0)
    tally.ack(2, 7n, digest, durable, ok)
    tally.ack(3, 7n, digest, durable, ok)
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('duplicate')
    expect(countsOf(tally)).toEqual({ held: 1, counted: 2, certified: 1, late: 1, duplicate: 3 })
  })

  it('a wrong digest, in any of its bits', () => {
    for (let bit = 0; bit < 256; bit += 1) {
      const tally = sent()
      tally.ownStored(7n, digest, durable)
      const wrong = digest.slice()
      wrong[bit >> 3]! ^= 1 << (bit & 7)
      expect(tally.ack(1, 7n, wrong, durable, ok)).toBe('wrong-digest')
    }
  })

  it('a wrong digest after certification', () => {
    const tally = sent()
    tally.ownStored(7n, digest, durable)
    tally.ack(1, 7n, digest, durable, ok)
    tally.ack(2, 7n, digest, durable, ok)
    expect(tally.ack(3, 7n, otherDigest, durable, ok)).toBe('wrong-digest')
  })

  it('a held ACK that proves wrong, and whatever that peer says after it', () => {
    const tally = sent()
    const wrongPeers: number[] = []
    expect(tally.ack(1, 7n, otherDigest, durable, ok)).toBe('held')
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('held')
    expect(tally.ownStored(7n, digest, durable, wrongPeers)).toBe(false)
    expect(wrongPeers).toEqual([1])
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('duplicate')
    expect(countsOf(tally)).toEqual({ held: 2, counted: 1, 'wrong-digest': 1, duplicate: 1 })
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('certified')
  })

  it('two peers that agree on another digest', () => {
    const tally = sent()
    tally.ack(1, 7n, otherDigest, durable, ok)
    tally.ack(2, 7n, otherDigest, durable, ok)
    expect(tally.ownStored(7n, digest, durable)).toBe(false)
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.counts.certified).toBe(0)
  })

  it('a level below the required one, before and after our digest is known', () => {
    const tally = sent()
    expect(tally.ack(1, 7n, digest, stored, ok)).toBe('level-too-low')
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(2, 7n, digest, stored, ok)).toBe('level-too-low')
    expect(tally.ack(2, 7n, digest, durable, ok)).toBe('duplicate')
    expect(tally.counts.counted).toBe(0)
  })

  it('a status that is not ok, by its reason, whatever the digest', () => {
    const tally = sent()
    expect(tally.ack(1, 7n, new Uint8Array(32), durable, ACK_STATUSES.invalid)).toBe('refused-invalid')
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(2, 7n, digest, durable, ACK_STATUSES.quota)).toBe('refused-quota')
    expect(tally.ack(3, 7n, digest, stored, ACK_STATUSES['store-full'])).toBe('refused-store-full')
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('duplicate')
    expect(countsOf(tally)).toEqual({
      'refused-invalid': 1,
      'refused-quota': 1,
      'refused-store-full': 1,
      duplicate: 1,
    })
  })

  it('an unknown level or status, which is then not the word of the peer', () => {
    const tally = sent()
    tally.ownStored(7n, digest, durable)
    for (const level of [0, 3, 255, -1, 1.5]) expect(tally.ack(1, 7n, digest, level, ok)).toBe('malformed')
    for (const status of [4, 255, -1, 0.5]) expect(tally.ack(1, 7n, digest, durable, status)).toBe('malformed')
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
  })

  it('a released entry leaves nothing behind for the next that uses its memory', () => {
    const tally = sent({ entriesMax: 1 })
    tally.ack(1, 7n, otherDigest, durable, ok)
    tally.ownStored(7n, otherDigest, durable)
    tally.ack(2, 7n, otherDigest, durable, ok)
    expect(tally.counts.certified).toBe(1)
    tally.release(7n)
    tally.track(8n, peerMask([1, 2]))
    expect(tally.ack(3, 8n, digest, durable, ok)).toBe('not-sent')
    expect(tally.ack(1, 8n, digest, durable, ok)).toBe('held')
    expect(tally.ownStored(8n, digest, durable)).toBe(false)
    expect(tally.ack(2, 8n, digest, durable, ok)).toBe('certified')
    expect(tally.size).toBe(1)
  })
})

describe('handing a batch over again', () => {
  it('a peer that is added later may ACK', () => {
    const tally = tallyOf()
    tally.track(7n, peerMask([1]))
    tally.ownStored(7n, digest, durable)
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('not-sent')
    tally.addPeer(7n, 3)
    expect(tally.ack(3, 7n, digest, durable, ok)).toBe('counted')
  })

  it('a peer that was refused may ACK again, once', () => {
    const tally = sent()
    tally.ownStored(7n, digest, durable)
    for (const word of ['wrong-digest', 'refused-quota', 'level-too-low']) {
      expect(
        word === 'wrong-digest'
          ? tally.ack(1, 7n, otherDigest, durable, ok)
          : word === 'refused-quota'
            ? tally.ack(1, 7n, digest, durable, ACK_STATUSES.quota)
            : tally.ack(1, 7n, digest, stored, ok),
      ).toBe(word)
      tally.addPeer(7n, 1)
    }
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('counted')
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('duplicate')
  })

  it('a peer whose stake was counted is not counted twice', () => {
    const tally = sent()
    tally.ownStored(7n, digest, durable)
    tally.ack(1, 7n, digest, durable, ok)
    tally.addPeer(7n, 1)
    expect(tally.ack(1, 7n, digest, durable, ok)).toBe('duplicate')
    expect(tally.counts.certified).toBe(0)
  })

  it('a held ACK outlives a reconnection', () => {
    const tally = sent()
    tally.ack(1, 7n, digest, durable, ok)
    tally.addPeer(7n, 1)
    expect(tally.ack(1, 7n, otherDigest, durable, ok)).toBe('duplicate')
    tally.ownStored(7n, digest, durable)
    expect(tally.counts.counted).toBe(1)
  })
})

describe('our own bugs stop the thread', () => {
  it('more entries than own slots', () => {
    const tally = tallyOf({ entriesMax: 2 })
    tally.track(1n, peerMask([1]))
    tally.track(2n, peerMask([1]))
    expect(() => tally.track(3n, peerMask([1]))).toThrow(/own slots/)
    tally.release(1n)
    tally.track(3n, peerMask([1]))
    expect(tally.size).toBe(2)
  })

  it('a sequence tracked twice, or never', () => {
    const tally = sent()
    expect(() => tally.track(7n, peerMask([1]))).toThrow(/tracked once/)
    expect(() => tally.ownStored(8n, digest, durable)).toThrow(/tracked/)
    expect(() => tally.addPeer(8n, 1)).toThrow(/tracked/)
    expect(() => tally.release(8n)).toThrow(/tracked/)
  })

  it('ourselves or a stranger among the peers', () => {
    expect(() => tallyOf().track(7n, peerMask([0]))).toThrow(/another authority/)
    expect(() => tallyOf().track(7n, peerMask([4]))).toThrow(/another authority/)
    expect(() => sent().ack(4, 7n, digest, durable, ok)).toThrow(/authority/)
  })

  it('two digests of one batch', () => {
    const tally = sent()
    tally.ownStored(7n, digest, stored)
    expect(() => tally.ownStored(7n, otherDigest, durable)).toThrow(/one digest/)
  })

  it('a quorum that nobody or everybody cannot make', () => {
    expect(() => tallyOf({ quorumThreshold: 0 })).toThrow(/quorum/)
    expect(() => tallyOf({ quorumThreshold: 5 })).toThrow(/quorum/)
    expect(() => tallyOf({ ownIndex: 4 })).toThrow(/our index/)
    expect(() => tallyOf({ stakes: [1, 1.5] })).toThrow(/whole/)
  })
})

// --- Any order of everything, against a model that remembers the whole history and recomputes from it ---------------

type Step =
  | { do: 'track'; sequence: number; peers: number[] }
  | { do: 'store'; sequence: number; level: 1 | 2 }
  | { do: 'add'; sequence: number; peer: number }
  | { do: 'ack'; sequence: number; peer: number; right: boolean; level: number; status: number }
  | { do: 'release'; sequence: number }

/** What happened to one batch, in order. All that the model knows is derived from this list. */
type Event =
  | { is: 'sent'; peer: number }
  | { is: 'stored'; level: number }
  | { is: 'word'; peer: number; right: boolean; level: number; status: number }

class Model {
  readonly live = new Map<number, Event[]>()
  readonly #stakes: number[]
  readonly #threshold: number
  readonly #required: number

  constructor(stakes: number[], threshold: number, required: number) {
    this.#stakes = stakes
    this.#threshold = threshold
    this.#required = required
  }

  /** The last word of a peer and whether it is sent the batch again since: its standing now. */
  standing(events: Event[], peer: number): 'not-sent' | 'awaited' | 'held' | 'counted' | 'refused' {
    const known = events.some((event) => event.is === 'stored')
    let standing: 'not-sent' | 'awaited' | 'good' | 'lie' | 'refused' = 'not-sent'
    for (const [at, event] of events.entries()) {
      if (event.is === 'stored' || event.peer !== peer) continue
      const knownThen = events.slice(0, at).some((before) => before.is === 'stored')
      if (event.is === 'sent') {
        // A lie that was held is found out when the digest becomes known, and is then forgiven by a new sending.
        if (standing === 'not-sent' || standing === 'refused' || (standing === 'lie' && knownThen)) standing = 'awaited'
      } else if (standing === 'awaited') {
        if (event.status !== 0 || event.level < this.#required) standing = 'refused'
        else standing = event.right ? 'good' : knownThen ? 'refused' : 'lie'
      }
    }
    if (standing === 'good') return known ? 'counted' : 'held'
    if (standing === 'lie') return known ? 'refused' : 'held'
    return standing
  }

  certified(events: Event[]): boolean {
    const own = events.some((event) => event.is === 'stored' && event.level >= this.#required)
    const stake = this.#stakes
      .filter((_, peer) => peer === 0 || this.standing(events, peer) === 'counted')
      .reduce((sum, each) => sum + each, 0)
    return own && stake >= this.#threshold
  }

  ack(step: Extract<Step, { do: 'ack' }>): TallyVerdict {
    const { peer, right, level, status } = step
    if (![1, 2].includes(level) || ![0, 1, 2, 3].includes(status)) return 'malformed'
    const events = this.live.get(step.sequence)
    if (events === undefined) return 'unknown-sequence'
    const standing = this.standing(events, peer)
    if (standing === 'not-sent') return 'not-sent'
    if (standing !== 'awaited') return 'duplicate'
    const before = this.certified(events)
    events.push({ is: 'word', peer, right, level, status })
    const after = this.standing(events, peer)
    if (after === 'held') return 'held'
    if (after === 'counted') return before ? 'late' : this.certified(events) ? 'certified' : 'counted'
    if (status !== 0) return (['refused-invalid', 'refused-quota', 'refused-store-full'] as const)[status - 1]!
    return level < this.#required ? 'level-too-low' : 'wrong-digest'
  }
}

describe('any order of tracking, storing, ACKs, sending again and releasing', () => {
  const sequence = fc.nat(3)
  const peer = fc.integer({ min: 1, max: 4 })
  // Weighted so that most ACKs are good ones and batches do get certified.
  const mostly = <T>(usual: T, ...rest: T[]): fc.Arbitrary<T> =>
    fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...rest) })
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('track' as const),
        sequence,
        peers: fc.uniqueArray(peer, { minLength: 2 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('store' as const), sequence, level: fc.constantFrom(1, 2) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('add' as const), sequence, peer }) },
    {
      weight: 14,
      arbitrary: fc.record({
        do: fc.constant('ack' as const),
        sequence,
        peer: mostly<number>(1, 0, 2, 3, 4).chain((first) => (first === 1 ? peer : fc.constant(first))),
        right: mostly(true, false),
        level: mostly(2, 0, 1, 1, 3),
        status: mostly(0, 1, 2, 3, 4),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), sequence }) },
  )
  const committee = fc
    .record({
      stakes: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 5, maxLength: 5 }),
      required: fc.constantFrom<1 | 2>(1, 2),
    })
    .filter(({ stakes }) => stakes.some((stake) => stake > 0))

  it('gives the verdicts, certificates and counts of the naive model', () => {
    const seen = new Set<TallyVerdict>()
    fc.assert(
      fc.property(committee, fc.array(step, { minLength: 30, maxLength: 120 }), ({ stakes, required }, steps) => {
        const quorumThreshold = Math.floor((2 * stakes.reduce((sum, stake) => sum + stake, 0)) / 3) + 1
        const tally = new QuorumTally({
          stakes,
          ownIndex: 0,
          quorumThreshold,
          entriesMax: 4,
          requiredLevel: required,
          freshRounds: 50,
        })
        const model = new Model(stakes, quorumThreshold, required)
        const expected: Record<string, number> = Object.fromEntries(
          [...ACK_VERDICTS, 'certified'].map((verdict) => [verdict, 0]),
        )
        const count = (verdict: TallyVerdict): void => {
          expected[verdict]! += 1
        }
        const certifiedOnce = new Map<Event[], number>()

        for (const each of steps) {
          const events = model.live.get(each.sequence)
          const key = BigInt(each.sequence)
          // Each sequence has a digest of its own, so that an ACK of one is wrong for another.
          const right = new Uint8Array(32).fill(each.sequence + 1)
          if (each.do === 'ack') {
            const verdict = model.ack(each)
            const named = each.right ? right : new Uint8Array(32).fill(each.sequence + 2)
            expect(tally.ack(each.peer, key, named, each.level, each.status)).toBe(verdict)
            seen.add(verdict)
            count(verdict)
            if (verdict === 'certified') {
              count('counted')
              certifiedOnce.set(events!, (certifiedOnce.get(events!) ?? 0) + 1)
            }
          } else if (each.do === 'track') {
            if (events !== undefined) continue
            tally.track(key, peerMask(each.peers))
            model.live.set(
              each.sequence,
              each.peers.map((peer) => ({ is: 'sent', peer })),
            )
          } else if (events === undefined) {
            // Our own bug, which is tested above.
          } else if (each.do === 'store') {
            const before = model.certified(events)
            const held = [1, 2, 3, 4].filter((peer) => model.standing(events, peer) === 'held')
            events.push({ is: 'stored', level: each.level })
            const wrong: number[] = []
            const certifies = !before && model.certified(events)
            expect(tally.ownStored(key, right, each.level as 1 | 2, wrong)).toBe(certifies)
            expect(wrong).toEqual(held.filter((peer) => model.standing(events, peer) === 'refused'))
            for (const peer of held) count(wrong.includes(peer) ? 'wrong-digest' : 'counted')
            if (certifies) {
              count('certified')
              certifiedOnce.set(events, (certifiedOnce.get(events) ?? 0) + 1)
            }
          } else if (each.do === 'add') {
            tally.addPeer(key, each.peer)
            events.push({ is: 'sent', peer: each.peer })
          } else {
            expect(certifiedOnce.get(events) ?? 0).toBe(model.certified(events) ? 1 : 0)
            tally.release(key)
            model.live.delete(each.sequence)
          }
          expect(tally.size).toBe(model.live.size)
        }
        expect(tally.counts).toEqual(expected)
      }),
      { numRuns: 300, seed: 20_210_511 },
    )
    // The simulation is worth something only if it gets everywhere.
    expect([...seen].sort()).toEqual([...ACK_VERDICTS, 'certified'].sort())
  })
})
