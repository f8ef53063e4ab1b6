/** Resender over a real processor thread and a real arena; what takes the batches from it is the test. */
import { expect, onTestFinished, test } from 'vitest'
import { SlotPool } from '../../../../src/main/lib/slot-pool.js'
import type { Dissemination } from '../../../../src/main/worker/dissemination/dissemination.js'
import { Resender } from '../../../../src/main/worker/dissemination/resender.js'
import { Arena } from '../../../../src/shared/memory/slots.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import {
  batchOf,
  digestOf,
  OWN_KEY,
  type ProcessorUnderTest,
  startProcessor,
  WORKER_ID,
} from '../../../support/threads/processor-under-test.js'
import { until } from '../../../support/until.js'

type Resent = Parameters<Dissemination['resend']>[0]

/** A resender with two slots behind `ownSlots`. */
async function start(processor: ProcessorUnderTest) {
  const arena = new Arena(processor.layout.own)
  const firstSlot = processor.layout.options.ownSlots
  const sent: Resent[] = []
  const held = new Set<bigint>()
  const state = { mayReport: true }
  const resender = new Resender({
    arena,
    slots: new SlotPool(firstSlot, 2),
    processor: processor.client,
    dissemination: {
      has: (sequence: bigint) => held.has(sequence),
      resend: (batch: Resent) => void sent.push(batch),
    } as unknown as Dissemination,
    workerId: WORKER_ID,
    ownKey: OWN_KEY,
    nowMs: () => 0,
    mayReport: () => state.mayReport,
  })
  onTestFinished(() => resender.close())
  const again = (digest: Uint8Array) => resender.resend({ digest, report: false, again: false })
  return { resender, arena, firstSlot, sent, held, state, again }
}

async function storeOwn(processor: ProcessorUnderTest, count: number): Promise<Uint8Array[]> {
  const batches = Array.from({ length: count }, (_, n) => batchOf(BigInt(n + 1), 1_000 + n))
  for (const [n, bytes] of batches.entries()) await processor.own(bytes, BigInt(n + 1))
  return batches
}

test('at boot all that were not reported go out, in order, in no more slots than there are, and byte for byte', async () => {
  const processor = await startProcessor({ directory: temporaryDirectory() })
  const batches = await storeOwn(processor, 6)
  await processor.client.ask({ type: 'reported', digests: [digestOf(batches[3]!, OWN_KEY)] })
  const wanted = batches.filter((_, n) => n !== 3)
  const { arena, firstSlot, resender, sent } = await start(processor)
  const steps: (bigint | undefined)[] = []
  let isRecovered = false
  void resender.recovered.then(() => {
    isRecovered = true
  })
  const recovered = resender.recover(1_000n, {
    onRecovering: (sequence) => steps.push(sequence),
    onLost: () => expect.unreachable('all are there'),
  })
  const inUse = new Set<number>()
  for (const [n, bytes] of wanted.entries()) {
    await until('the next is sent', () => sent.length > n)
    const { byteLength, digest, report, slot } = sent[n]!
    expect(slot).toBeGreaterThanOrEqual(firstSlot)
    expect(inUse.has(slot)).toBe(false)
    inUse.add(slot)
    expect(Buffer.compare(arena.batch(slot, byteLength), bytes)).toBe(0)
    expect(Buffer.compare(digest, digestOf(bytes, OWN_KEY))).toBe(0)
    expect(report).toBe(true)
    // Both slots are in use, and the next one waits.
    if (inUse.size === 2) {
      const [free] = inUse
      expect(sent.length).toBe(n + 1)
      if (n + 1 < wanted.length) expect(isRecovered).toBe(false)
      inUse.delete(free!)
      arena.batch(free!, 64).fill(0)
      resender.onSlotFree(free!)
    }
  }
  expect(await recovered).toBe(wanted.length)
  await resender.recovered
  expect(sent.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 5n, 6n])
  expect(steps).toEqual([1n, 2n, 3n, 5n, 6n, undefined])
})

test('batches of this run, from the given sequence on, are not sent again', async () => {
  const processor = await startProcessor({ directory: temporaryDirectory() })
  await storeOwn(processor, 3)
  const { resender, sent } = await start(processor)
  expect(await resender.recover(2n, { onRecovering() {}, onLost() {} })).toBe(1)
  expect(sent.map(({ sequence }) => sequence)).toEqual([1n])
})

test('while reports have no room nothing is sent again', async () => {
  const processor = await startProcessor({ directory: temporaryDirectory() })
  await storeOwn(processor, 1)
  const { resender, sent, state } = await start(processor)
  state.mayReport = false
  const steps: unknown[] = []
  const recovered = resender.recover(1_000n, { onRecovering: (sequence) => steps.push(sequence), onLost() {} })
  await until('it is about to', () => steps.length === 1)
  // A question later: had it gone on, this batch would have been read.
  for (let i = 0; i < 3; i += 1) await processor.client.ask({ type: 'cleanup-state' })
  expect(sent).toEqual([])
  state.mayReport = true
  expect(await recovered).toBe(1)
  expect(sent).toHaveLength(1)
})

test('what is not stored, or another’s, is not sent; what is on its way is held', async () => {
  const processor = await startProcessor({ directory: temporaryDirectory() })
  const [own] = await storeOwn(processor, 1)
  const { digest: foreign } = await processor.foreign({ bytes: batchOf(9n), peer: 2 })
  const { again, held, resender, sent } = await start(processor)
  expect(await again(new Uint8Array(32))).toBe(0)
  expect(await again(foreign)).toBe(0)
  held.add(1n)
  expect(await again(digestOf(own!, OWN_KEY))).toBe('held')
  expect(sent).toEqual([])
  held.clear()
  expect(await again(digestOf(own!, OWN_KEY))).toBe(own!.length)
  expect(sent.map(({ peer }) => peer)).toEqual([undefined])
  await resender.resend({ digest: digestOf(own!, OWN_KEY), report: false, again: true, peer: 2 })
  expect(sent.map(({ peer }) => peer)).toEqual([undefined, 2])
})

test('one that waited for a slot and is on its way by then gives the slot back; the end of the worker ends the wait', async () => {
  const processor = await startProcessor({ directory: temporaryDirectory() })
  const digests = (await storeOwn(processor, 5)).map((bytes) => digestOf(bytes, OWN_KEY))
  const { again, firstSlot, held, resender, sent } = await start(processor)
  await again(digests[0]!)
  await again(digests[1]!)
  const third = again(digests[2]!)
  // It waits: two questions later it would have been sent.
  for (let i = 0; i < 2; i += 1) await processor.client.ask({ type: 'cleanup-state' })
  expect(sent).toHaveLength(2)
  held.add(3n)
  resender.onSlotFree(firstSlot)
  expect(await third).toBe('held')
  expect(await again(digests[3]!)).toBeGreaterThan(0)
  expect(sent.at(-1)!.slot).toBe(firstSlot)
  const last = again(digests[4]!)
  for (let i = 0; i < 2; i += 1) await processor.client.ask({ type: 'cleanup-state' })
  resender.close()
  expect(await last).toBe(0)
  expect(sent).toHaveLength(3)
})
