import { describe, expect, it } from 'vitest'
import { START } from '../../../src/shared/freshness.js'
import { Counters } from '../../../src/shared/memory/counters.js'
import type {
  MainToQuorumWaiter,
  QuorumWaiterTask,
  QuorumWaiterToMain,
} from '../../../src/shared/memory/dialogue/quorum-waiter.js'
import { ownSlotsTotal } from '../../../src/shared/memory/layout.js'
import { ACK_LEVELS, ACK_STATUSES, peerMask } from '../../../src/shared/wire/ack.js'
import { seeded } from '../../support/random.js'
import { type MainSide, startMainSide } from '../../support/threads/main-side.js'
import { until } from '../../support/until.js'

interface QuorumWaiterUnderTest extends MainSide {
  readonly said: QuorumWaiterToMain[]
  readonly tell: (message: MainToQuorumWaiter) => void
  /** What main does in answer to a message, instead of only noting it. */
  onSaid: (message: QuorumWaiterToMain) => void
  readonly counters: Counters<'quorum-waiter'>
  readonly close: () => Promise<void>
}

const OWN_INDEX = 0

async function startQuorumWaiter(
  options: { readonly authorities?: number; readonly ownSlots?: number } = {},
): Promise<QuorumWaiterUnderTest> {
  const { authorities = 4, ownSlots = 8 } = options
  const said: QuorumWaiterToMain[] = []
  const main = await startMainSide(
    { ownSlots, inboundSlotsPerPeer: 2, authorities, batchBytesMax: 2_000 },
    { onQuorumWaiter: (message) => under.onSaid(message) },
  )
  const under: QuorumWaiterUnderTest = {
    ...main,
    said,
    tell: main.rings.toQuorumWaiter,
    onSaid: (message) => said.push(message),
    counters: new Counters(main.layout.counters['quorum-waiter'], 'quorum-waiter'),
    close: async () => {
      main.rings.toQuorumWaiter({ kind: 'close' })
      await main.threads.end('quorum-waiter', 'in-order')
    },
  }
  await main.threads.start('quorum-waiter', {
    layout: main.layout,
    tally: {
      stakes: new Array(authorities).fill(1),
      ownIndex: OWN_INDEX,
      quorumThreshold: Math.floor((2 * authorities) / 3) + 1,
      entriesMax: ownSlotsTotal(main.layout.options),
      requiredLevel: ACK_LEVELS.durable,
      freshRounds: 50,
    },
  } satisfies QuorumWaiterTask)
  return under
}

/** A digest that follows from the sequence. */
function digestOf(sequence: bigint): Uint8Array {
  const digest = new Uint8Array(32).fill(Number(sequence % 251n) + 1)
  new DataView(digest.buffer).setBigUint64(0, sequence)
  return digest
}

function ackOf(peer: number, sequence: bigint, changes: Partial<Extract<MainToQuorumWaiter, { kind: 'ack' }>> = {}) {
  const [level, status] = [ACK_LEVELS.durable, ACK_STATUSES.ok]
  return { kind: 'ack', peer, sequence, digest: digestOf(sequence), level, status, at: START, ...changes } as const
}

const peers = peerMask([1, 2, 3])

describe('the quorum-waiter thread', () => {
  it('wait_for_quorum: a batch is certified when its own copy and two of three others are stored, not before', async () => {
    const waiter = await startQuorumWaiter()
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    waiter.tell({ kind: 'own-stored', sequence: 1n, digest: digestOf(1n), at: START })
    waiter.tell(ackOf(2, 1n))
    await until('the first verdict', () => waiter.said.length === 1)
    expect(waiter.said).toEqual([{ kind: 'verdict', peer: 2, sequence: 1n, verdict: 'counted' }])
    waiter.tell(ackOf(3, 1n))
    await until('the certificate', () => waiter.said.length === 3)
    expect(waiter.said.slice(1)).toEqual([
      { kind: 'verdict', peer: 3, sequence: 1n, verdict: 'counted' },
      { kind: 'certified', sequence: 1n, since: START },
    ])
    waiter.tell(ackOf(1, 1n))
    waiter.tell({ kind: 'release', sequence: 1n })
    await until('the release', () => waiter.said.length === 5)
    expect(waiter.said.slice(3)).toEqual([
      { kind: 'verdict', peer: 1, sequence: 1n, verdict: 'late' },
      { kind: 'released', sequence: 1n },
    ])
    waiter.tell(ackOf(1, 1n))
    await until('an answer to an ACK for what is gone', () => waiter.said.length === 6)
    expect(waiter.said[5]).toEqual({ kind: 'verdict', peer: 1, sequence: 1n, verdict: 'unknown-sequence' })
    expect(waiter.counters.get('certified')).toBe(1)
    expect(waiter.counters.get('acks')).toBe(4)
  })

  it('what is not urgent is read with what is, or when main rings for it', async () => {
    const waiter = await startQuorumWaiter()
    const { toQuorumWaiter } = waiter.rings
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    waiter.tell(ackOf(1, 1n))
    await until('the first verdict', () => waiter.said.length === 1)

    // How often it was rung for: that it has not woken yet by itself cannot be seen.
    const { buffer, byteOffset } = waiter.layout.doorbells['quorum-waiter']
    const rings = (): number => Atomics.load(new Int32Array(buffer, byteOffset, 1), 0)
    const before = rings()
    toQuorumWaiter(ackOf(2, 1n), false)
    expect(rings()).toBe(before)
    toQuorumWaiter(ackOf(3, 1n), true)
    expect(rings()).toBe(before + 1)
    await until('both verdicts', () => waiter.said.length === 3)

    toQuorumWaiter({ kind: 'own-stored', sequence: 1n, digest: digestOf(1n), at: START }, false)
    expect(rings()).toBe(before + 1)
    waiter.rings.ringLate()
    expect(rings()).toBe(before + 2)
    await until('the certificate', () => waiter.said.some(({ kind }) => kind === 'certified'))
    await waiter.close()
  })

  it('ACKs that come before our own digest are held, and judged by it', async () => {
    const waiter = await startQuorumWaiter()
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    waiter.tell(ackOf(1, 1n))
    waiter.tell(ackOf(2, 1n, { digest: digestOf(99n) }))
    waiter.tell(ackOf(3, 1n))
    waiter.tell({ kind: 'own-stored', sequence: 1n, digest: digestOf(1n), at: START })
    await until('the certificate', () => waiter.said.some(({ kind }) => kind === 'certified'))
    expect(waiter.said).toEqual([
      { kind: 'verdict', peer: 1, sequence: 1n, verdict: 'held' },
      { kind: 'verdict', peer: 2, sequence: 1n, verdict: 'held' },
      { kind: 'verdict', peer: 3, sequence: 1n, verdict: 'held' },
      { kind: 'held-wrong', peer: 2, sequence: 1n },
      { kind: 'certified', sequence: 1n, since: START },
    ])
  })

  it('says of every ACK what became of it', async () => {
    const waiter = await startQuorumWaiter()
    waiter.tell({ kind: 'tracked', sequence: 1n, peers: peerMask([1, 2]) })
    waiter.tell({ kind: 'own-stored', sequence: 1n, digest: digestOf(1n), at: START })
    waiter.tell(ackOf(3, 1n))
    waiter.tell(ackOf(1, 2n))
    waiter.tell(ackOf(1, 1n, { level: ACK_LEVELS.stored }))
    waiter.tell(ackOf(1, 1n))
    waiter.tell(ackOf(2, 1n, { status: ACK_STATUSES['store-full'] }))
    // On a new connection it is handed to both again.
    waiter.tell({ kind: 'resent', peer: 1, sequence: 1n })
    waiter.tell({ kind: 'resent', peer: 2, sequence: 1n })
    waiter.tell(ackOf(1, 1n, { digest: digestOf(5n) }))
    waiter.tell(ackOf(2, 1n))
    await until('all verdicts', () => waiter.said.length === 7)
    expect(waiter.said.map((message) => (message.kind === 'verdict' ? message.verdict : message.kind))).toEqual([
      'not-sent',
      'unknown-sequence',
      'level-too-low',
      'duplicate',
      'refused-store-full',
      'wrong-digest',
      'counted',
    ])
  })

  it('says which ACKs are too old to count, and since when those count that certify', async () => {
    const waiter = await startQuorumWaiter()
    const later = { rounds: 60.5, awayMs: 7 }
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    waiter.tell({ kind: 'own-stored', sequence: 1n, digest: digestOf(1n), at: START })
    waiter.tell(ackOf(1, 1n))
    waiter.tell(ackOf(2, 1n, { at: later }))
    waiter.tell({ kind: 'resent', peer: 1, sequence: 1n })
    waiter.tell(ackOf(1, 1n, { at: { rounds: 70, awayMs: 8 } }))
    await until('the certificate', () => waiter.said.length === 5)
    expect(waiter.said).toEqual([
      { kind: 'verdict', peer: 1, sequence: 1n, verdict: 'counted' },
      { kind: 'verdict', peer: 2, sequence: 1n, verdict: 'counted' },
      { kind: 'expired', sequence: 1n, peers: peerMask([1]) },
      { kind: 'verdict', peer: 1, sequence: 1n, verdict: 'counted' },
      { kind: 'certified', sequence: 1n, since: later },
    ])
  })

  it('close ends it, and nobody calls that a death', async () => {
    const waiter = await startQuorumWaiter()
    await waiter.close()
    expect(waiter.died).toEqual([])
  })

  it('one that ends unasked is reported with its last counters', async () => {
    const waiter = await startQuorumWaiter()
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    await until('it is tracked', () => waiter.counters.get('entries') === 1)
    waiter.tell({ kind: 'close' })
    await until('its death', () => waiter.died.length === 1)
    expect(waiter.died[0]).toMatchObject({
      code: 'ERR_THREAD_DIED',
      message: expect.stringMatching(/the quorum-waiter thread died: it returned .*entries 1/),
    })
  })

  it('our own bug there ends it with the assertion', async () => {
    const waiter = await startQuorumWaiter()
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    waiter.tell({ kind: 'tracked', sequence: 1n, peers })
    await until('its death', () => waiter.died.length === 1)
    expect(waiter.died[0]!.message).toMatch(/the quorum-waiter thread died: AssertionError/)
  })
})

describe('many batches in flight', () => {
  // Each slot's batch is tracked, stored, acknowledged by all in any order, certified, released and followed by the next.
  it.each([
    { authorities: 4, ownSlots: 32, batches: 20_000 },
    { authorities: 7, ownSlots: 8, batches: 5_000 },
    { authorities: 1, ownSlots: 8, batches: 5_000 },
  ])(
    '$batches of them, $ownSlots at a time in a committee of $authorities: each is certified once and waits for no other',
    async ({ authorities, ownSlots, batches }) => {
      const waiter = await startQuorumWaiter({ authorities, ownSlots })
      const others = Array.from({ length: authorities - 1 }, (_, index) => index + 1)
      const random = seeded(authorities)
      const inFlight = new Map<bigint, { certified: number; verdicts: number; released: boolean }>()
      let next = 0n
      let certified = 0
      let wrong = 0
      const start = (): void => {
        const sequence = next
        next += 1n
        inFlight.set(sequence, { certified: 0, verdicts: 0, released: false })
        waiter.tell({ kind: 'tracked', sequence, peers: peerMask(others) })
        const steps: MainToQuorumWaiter[] = [
          { kind: 'own-stored', sequence, digest: digestOf(sequence), at: START },
          ...others.map((peer) => ackOf(peer, sequence)),
        ]
        while (steps.length > 0) waiter.tell(steps.splice(Math.floor(random() * steps.length), 1)[0]!)
      }
      const onDone = (sequence: bigint): void => {
        const batch = inFlight.get(sequence)!
        if (batch.certified !== 1 || batch.verdicts !== others.length || batch.released) return
        batch.released = true
        waiter.tell({ kind: 'release', sequence })
      }
      waiter.onSaid = (message) => {
        const batch = inFlight.get(message.sequence)
        if (batch === undefined) {
          wrong += 1
          return
        }
        switch (message.kind) {
          case 'verdict':
            if (!['counted', 'held', 'late'].includes(message.verdict)) wrong += 1
            batch.verdicts += 1
            onDone(message.sequence)
            break
          case 'certified':
            batch.certified += 1
            certified += 1
            onDone(message.sequence)
            break
          case 'released':
            inFlight.delete(message.sequence)
            if (next < batches) start()
            break
          default:
            wrong += 1
        }
      }
      for (let slot = 0; slot < ownSlots; slot += 1) start()
      await until(
        () => `${certified} of ${batches} certified, ${inFlight.size} in flight`,
        () => next === BigInt(batches) && inFlight.size === 0,
      )
      expect({ certified, wrong, died: waiter.died }).toEqual({ certified: batches, wrong: 0, died: [] })
      await until(
        'its own count',
        () => waiter.counters.get('certified') === batches && waiter.counters.get('entries') === 0,
      )
      expect(waiter.counters.get('acks')).toBe(batches * others.length)
    },
  )

  it('the most that main may say at once fits the ring: every slot and every peer, twice over', async () => {
    const waiter = await startQuorumWaiter({ authorities: 7, ownSlots: 8 })
    const others = [1, 2, 3, 4, 5, 6]
    const slots = ownSlotsTotal(waiter.layout.options)
    const wrong = (sequence: bigint) => ({ digest: digestOf(sequence + 1_000n) })
    for (let n = 0; n < slots; n += 1) {
      const sequence = BigInt(n)
      waiter.tell({ kind: 'tracked', sequence, peers: peerMask(others) })
      for (const peer of others) waiter.tell(ackOf(peer, sequence, wrong(sequence)))
      waiter.tell({ kind: 'own-stored', sequence, digest: digestOf(sequence), at: START })
    }
    await until('every verdict, and every held one found wrong', () => waiter.said.length === slots * others.length * 2)
    expect(waiter.said.filter(({ kind }) => kind === 'held-wrong').length).toBe(slots * others.length)
    expect(waiter.died).toEqual([])
  })
})
