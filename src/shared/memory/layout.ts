/**
 * All shared memory of a worker: allocated once, at boot, from one description.
 *
 * Control memory holds the doorbells, the counters and the rings; the two arenas hold the batches. Every sum that
 * bounds something stands here:
 *
 * - own slots: `own_slots` for the batch-maker and `RESEND_SLOTS` for main;
 * - inbound slots: for each peer `inbound_slots`, and some for batches that it was asked for (`syncSlotsPerPeer`);
 * - a ring's capacity: the messages that can be in it at once, below, rounded up to a power of two.
 */

import {
  RESEND_SLOTS,
  SUBMIT_RING_BYTES_MIN,
  SYNC_SLOTS_BYTES_MAX,
  SYNC_SLOTS_PER_PEER_MAX,
  SYNC_SLOTS_PER_PEER_MIN,
  TRANSACTION_PREFIX_BYTES,
} from '../constants.js'
import { type AuthorBytesRegion, authorBytesBytes } from './author-bytes.js'
import { type ByteRingRegion, byteRingBytes } from './byte-ring.js'
import { COUNTERS_BYTES, type CountersRegion, THREAD_NAMES, type ThreadName } from './counters.js'
import { DOORBELL_BYTES, type DoorbellRegion } from './doorbell.js'
import { allocated } from './page-memory.js'
import { capacityFor, type RingRegion, ringBytes } from './ring.js'
import { type ArenaRegion, arenaBytes, createArena } from './slots.js'

export interface LayoutOptions {
  readonly ownSlots: number
  readonly inboundSlotsPerPeer: number
  /** Authorities of the committee, this one included. */
  readonly authorities: number
  readonly batchBytesMax: number
}

export interface Layout {
  readonly options: LayoutOptions
  readonly own: ArenaRegion
  readonly inbound: ArenaRegion
  readonly submit: ByteRingRegion
  readonly rings: Readonly<Record<RingName, RingRegion>>
  readonly doorbells: Readonly<Record<ThreadName, DoorbellRegion>>
  readonly counters: Readonly<Record<ThreadName, CountersRegion>>
  readonly authorBytes: AuthorBytesRegion
  /** Bytes of all of it. */
  readonly bytes: number
}

export type RingName =
  | 'batchMakerToMain'
  | 'mainToBatchMaker'
  | 'ownWork'
  | 'inboundWork'
  | 'processorToMain'
  | 'mainToQuorumWaiter'
  | 'quorumWaiterToMain'

/** Slots of the own arena: the batch-maker's first, then main's for sending again. */
export function ownSlotsTotal(options: LayoutOptions): number {
  return options.ownSlots + RESEND_SLOTS
}

/** Slots of each peer for batches that it was asked for. */
export function syncSlotsPerPeer({ authorities, batchBytesMax }: LayoutOptions): number {
  const affordable = Math.floor(SYNC_SLOTS_BYTES_MAX / (Math.max(1, authorities - 1) * batchBytesMax))
  return Math.max(SYNC_SLOTS_PER_PEER_MIN, Math.min(SYNC_SLOTS_PER_PEER_MAX, affordable))
}

/** Slots of the inbound arena: those of each peer, in the order of the committee; then those for syncing, likewise. */
export function inboundSlotsTotal(options: LayoutOptions): number {
  return (options.authorities - 1) * (options.inboundSlotsPerPeer + syncSlotsPerPeer(options))
}

/** Messages that can be in each ring at once. */
export function ringCredits(options: LayoutOptions): Record<RingName, number> {
  const own = ownSlotsTotal(options)
  const inbound = inboundSlotsTotal(options)
  const peers = options.authorities - 1
  return {
    // sealed, for each slot; one range-low
    batchMakerToMain: options.ownSlots + 1,
    // slot, and all-certified, for each slot; one range in answer to range-low and the first one; close
    mainToBatchMaker: 2 * options.ownSlots + 3,
    ownWork: own,
    inboundWork: inbound,
    // one answer for each work
    processorToMain: own + inbound,
    // tracked, own-stored and release for each slot; for each peer as many ACKs as there are slots (its credits) and a
    // `resent` for each slot (its refusal, or that its ACK is too old, has been seen by then); close. A slot is free only once `released` has come
    // back through both rings, so the messages of its next batch come later.
    mainToQuorumWaiter: own * 3 + peers * own * 2 + 1,
    // certified and released for each slot; for each ACK a verdict, and one more if it was held and found wrong; for each
    // ACK, and each own-stored, an `expired`
    quorumWaiterToMain: own * 3 + peers * own * 3,
  }
}

/** @throws NarvalError ERR_PLATFORM where there is no such memory */
export function createLayout(options: LayoutOptions): Layout {
  const credits = ringCredits(options)
  const submitBytes = Math.max(
    SUBMIT_RING_BYTES_MIN,
    capacityFor(2 * (options.batchBytesMax + TRANSACTION_PREFIX_BYTES) + 1),
  )
  let controlBytes = 0
  const place = (bytes: number): number => {
    const byteOffset = controlBytes
    controlBytes += Math.ceil(bytes / 128) * 128
    return byteOffset
  }
  const doorbellOffsets = THREAD_NAMES.map((name) => [name, place(DOORBELL_BYTES)] as const)
  const counterOffsets = THREAD_NAMES.map((name) => [name, place(COUNTERS_BYTES)] as const)
  const ringOffsets = (Object.keys(credits) as RingName[]).map((name) => {
    const capacity = capacityFor(credits[name])
    return [name, capacity, place(ringBytes(capacity))] as const
  })
  const authorBytesOffset = place(authorBytesBytes(options.authorities))
  const submitOffset = place(byteRingBytes(submitBytes))

  const buffer = allocated(controlBytes, () => new SharedArrayBuffer(controlBytes))
  const own = createArena(ownSlotsTotal(options), options.batchBytesMax)
  const inbound = createArena(inboundSlotsTotal(options), options.batchBytesMax)
  return {
    options,
    own,
    inbound,
    submit: { buffer, byteOffset: submitOffset, capacity: submitBytes },
    rings: Object.fromEntries(
      ringOffsets.map(([name, capacity, byteOffset]) => [name, { buffer, byteOffset, capacity }]),
    ) as Record<RingName, RingRegion>,
    doorbells: Object.fromEntries(
      doorbellOffsets.map(([name, byteOffset]) => [name, { buffer, byteOffset }]),
    ) as Record<ThreadName, DoorbellRegion>,
    counters: Object.fromEntries(counterOffsets.map(([name, byteOffset]) => [name, { buffer, byteOffset }])) as Record<
      ThreadName,
      CountersRegion
    >,
    authorBytes: { buffer, byteOffset: authorBytesOffset, authorities: options.authorities },
    bytes: controlBytes + arenaBytes(own) + arenaBytes(inbound),
  }
}
