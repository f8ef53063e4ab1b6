/** A real processor thread with a real store, with the test in the place of main. */

import { MessageChannel } from 'node:worker_threads'
import { ProcessorClient } from '../../../src/main/thread-host/processor-client.js'
import { AuthorBytes } from '../../../src/shared/memory/author-bytes.js'
import { Counters } from '../../../src/shared/memory/counters.js'
import type { ProcessorTask, ProcessorToMain } from '../../../src/shared/memory/dialogue/processor.js'
import { Arena } from '../../../src/shared/memory/slots.js'
import { encodeBatch } from '../../../src/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf } from '../../../src/shared/wire/digest.js'
import { type MainSide, startMainSide } from './main-side.js'
import { randomOf } from './pause.mjs'

export const WORKER_ID = 3
/** The public keys of a committee of four; ours is the one at OWN_INDEX. */
export const AUTHORITIES = [10, 20, 30, 40].map((byte) => new Uint8Array(32).fill(byte))
export const OWN_INDEX = 1
export const OWN_KEY = AUTHORITIES[OWN_INDEX]!

export interface ProcessorTestOptions {
  readonly directory: string
  readonly batchBytesMax?: number
  readonly ownSlots?: number
  readonly level?: 'stored' | 'durable'
  readonly storeBytesMax?: number
  /** 1 each, unless given. */
  readonly stakes?: readonly number[]
  readonly retentionRounds?: number
  readonly benchmark?: boolean
  readonly authority?: Uint8Array
  readonly workerId?: number
}

export type OwnStored = Extract<ProcessorToMain, { kind: 'own-stored' }>
export type InboundDone = Extract<ProcessorToMain, { kind: 'inbound-done' }>

export interface Foreign {
  readonly bytes: Uint8Array
  readonly peer?: number
  readonly author?: number
  readonly expected?: Uint8Array
}

export interface ProcessorUnderTest extends MainSide {
  readonly client: ProcessorClient
  readonly counters: Counters<'processor'>
  readonly authorBytes: AuthorBytes
  /** Stores a batch of ours; resolves with the answer. Waits for a slot if there is none. */
  readonly own: (bytes: Uint8Array, sequence: bigint) => Promise<OwnStored>
  /** Hands over a batch of another authority's. */
  readonly foreign: (foreign: Foreign) => Promise<InboundDone>
  readonly close: () => Promise<void>
}

export async function startProcessor(options: ProcessorTestOptions): Promise<ProcessorUnderTest> {
  const { batchBytesMax = 40_000, workerId = WORKER_ID } = options
  const answers = new Map<string, (message: ProcessorToMain) => void>()
  const main = await startMainSide(
    { ownSlots: options.ownSlots ?? 8, inboundSlotsPerPeer: 4, authorities: AUTHORITIES.length, batchBytesMax },
    {
      onProcessor: (message) => {
        const key = `${message.kind === 'own-stored' ? 'own' : 'inbound'} ${message.slot}`
        const answer = answers.get(key)
        if (answer === undefined) throw new Error(`an answer for a slot that nobody gave: ${key}`)
        answers.delete(key)
        answer(message)
      },
    },
  )
  const { port1, port2 } = new MessageChannel()
  const client = new ProcessorClient(port1)
  await main.threads.start(
    'processor',
    {
      layout: main.layout,
      control: port2,
      processor: {
        workerId,
        batchBytesMax,
        authorities: AUTHORITIES,
        stakes: options.stakes ?? AUTHORITIES.map(() => 1),
        ownIndex: OWN_INDEX,
        storeBytesMax: options.storeBytesMax ?? 2 ** 40,
        benchmark: options.benchmark ?? false,
      },
      store: {
        directory: options.directory,
        authority: options.authority ?? OWN_KEY,
        workerId,
        level: options.level ?? 'stored',
        retentionRounds: options.retentionRounds ?? 0,
      },
    } satisfies Omit<ProcessorTask, 'port'>,
    [port2],
  )
  const ownSlots = slotsOf(new Arena(main.layout.own))
  const inboundSlots = slotsOf(new Arena(main.layout.inbound))
  return {
    ...main,
    client,
    authorBytes: new AuthorBytes(main.layout.authorBytes),
    counters: new Counters(main.layout.counters.processor, 'processor'),
    own: async (bytes, sequence) => {
      const slot = await ownSlots.fill(bytes)
      const answer = new Promise<ProcessorToMain>((resolve) => answers.set(`own ${slot}`, resolve))
      main.rings.toProcessorOwn({ kind: 'own', slot, sequence, byteLength: bytes.length })
      const message = (await answer) as OwnStored
      ownSlots.free(slot)
      return message
    },
    foreign: async ({ bytes, peer = 0, author = peer, expected = null }) => {
      const slot = await inboundSlots.fill(bytes)
      const answer = new Promise<ProcessorToMain>((resolve) => answers.set(`inbound ${slot}`, resolve))
      main.rings.toProcessorInbound({ kind: 'inbound', slot, peer, author, byteLength: bytes.length, expected })
      const message = (await answer) as InboundDone
      inboundSlots.free(slot)
      return message
    },
    close: async () => {
      client.close()
      await main.threads.end('processor', 'in-order')
    },
  }
}

/** Slots that are poisoned as soon as their answer has come: whoever reads one after it finds rubbish. */
function slotsOf(arena: Arena) {
  const free = Array.from({ length: arena.slots }, (_, slot) => slot)
  const waiting: (() => void)[] = []
  return {
    fill: async (bytes: Uint8Array): Promise<number> => {
      while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
      const slot = free.shift()!
      arena.batch(slot).set(bytes)
      return slot
    },
    free: (slot: number): void => {
      arena.poison(slot)
      free.push(slot)
      waiting.shift()?.()
    },
  }
}

/** Random bytes that transactions are cut from: to make each byte of each anew takes longer than to store it. */
const POOL = Buffer.alloc(64 * 1024)
const randomByte = randomOf(7919)
for (let at = 0; at < POOL.length; at += 1) POOL[at] = randomByte() * 256

/** A batch of random transactions, of about so many bytes. */
export function batchOf(sequence: bigint, bytes = 1_000, seed = Number(sequence) + 1): Uint8Array {
  const random = randomOf(seed * 7919)
  const list: Uint8Array[] = []
  for (let left = bytes - 64; left > 4; ) {
    const length = Math.min(1 + Math.floor(random() * 700), left - 4)
    const at = Math.floor(random() * (POOL.length - length))
    list.push(POOL.subarray(at, at + length))
    left -= 4 + length
  }
  return encodeBatch(list, { workerId: WORKER_ID, sequence })
}

export function digestOf(bytes: Uint8Array, author: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32)
  new BatchDigester(bytes.length).digest(bytes, chunkStartsOf(bytes), author, digest)
  return digest
}
