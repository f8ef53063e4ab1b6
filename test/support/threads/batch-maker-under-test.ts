/** A real batch-maker thread on a real port, with the test in the place of main. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { Counters } from '../../../src/shared/memory/counters.js'
import type { BatchMakerTask, BatchMakerToMain } from '../../../src/shared/memory/dialogue/batch-maker.js'
import { Arena } from '../../../src/shared/memory/slots.js'
import { checkBatch, readBatchHeader, transactionBytesMax, transactions } from '../../../src/shared/wire/batch.js'
import { type MainSide, startMainSide } from './main-side.js'

export interface BatchMakerTestOptions {
  readonly batchBytesMax?: number
  readonly maxBatchDelayMs?: number
  /** Slots of the arena; all are handed out at the start but for `slotsKept`. */
  readonly ownSlots?: number
  readonly slotsKept?: number
  /** Give a slot back as soon as its batch was read. */
  readonly recycles?: boolean
  readonly connectionsMax?: number
  readonly idleTimeoutMs?: number
  /** Default: a free one. */
  readonly port?: number
  /** The first range; none if null. */
  readonly range?: { readonly start: bigint; readonly end: bigint } | null
}

export interface SealedBatch {
  readonly message: Extract<BatchMakerToMain, { kind: 'sealed' }>
  /** A copy of what the slot held. */
  readonly bytes: Uint8Array
  readonly transactions: readonly Uint8Array[]
}

export interface BatchMakerUnderTest extends MainSide {
  readonly port: number
  readonly sealed: SealedBatch[]
  readonly rangesAsked: () => number
  readonly counters: Counters<'batch-maker'>
  /** All transactions of all batches, in order. */
  readonly taken: () => Uint8Array[]
  readonly giveSlot: (slot: number) => void
  readonly transactionBytesMax: number
  /** Tells the thread to end, and waits until it has. */
  readonly close: () => Promise<void>
}

const WORKER_ID = 5

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export async function startBatchMaker(options: BatchMakerTestOptions = {}): Promise<BatchMakerUnderTest> {
  const { batchBytesMax = 2_000, ownSlots = 8, slotsKept = 0, recycles = true } = options
  const sealed: SealedBatch[] = []
  let rangesAsked = 0
  const main = await startMainSide(
    { ownSlots, inboundSlotsPerPeer: 2, authorities: 1, batchBytesMax },
    {
      onBatchMaker: (message) => {
        if (message.kind === 'range-low') {
          rangesAsked += 1
          return
        }
        sealed.push(readSealed(arena, message, batchBytesMax))
        if (recycles) giveSlot(message.slot)
      },
    },
  )
  const arena = new Arena(main.layout.own)
  const giveSlot = (slot: number): void => {
    arena.poison(slot)
    main.rings.toBatchMaker({ kind: 'slot', slot })
  }
  const range = options.range === undefined ? { start: 1_000n, end: 1n << 40n } : options.range
  if (range !== null) main.rings.toBatchMaker({ kind: 'range', ...range })
  for (let slot = 0; slot < ownSlots - slotsKept; slot += 1) giveSlot(slot)
  const port = options.port ?? (await freePort())
  await main.threads.start('batch-maker', {
    layout: main.layout,
    batchMaker: { workerId: WORKER_ID, batchBytesMax, maxBatchDelayMs: options.maxBatchDelayMs ?? 20 },
    listener: {
      host: '127.0.0.1',
      port,
      connectionsMax: options.connectionsMax ?? 100,
      idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
    },
  } satisfies Omit<BatchMakerTask, 'port'>)
  return {
    ...main,
    port,
    sealed,
    rangesAsked: () => rangesAsked,
    counters: new Counters(main.layout.counters['batch-maker'], 'batch-maker'),
    taken: () => sealed.flatMap((batch) => batch.transactions),
    giveSlot,
    transactionBytesMax: transactionBytesMax(batchBytesMax),
    close: async () => {
      main.rings.toBatchMaker({ kind: 'close' })
      await main.threads.end('batch-maker', 'in-order')
    },
  }
}

/** Every sealed batch is one that a strict decoder takes, and what is said of it is true. */
function readSealed(arena: Arena, message: SealedBatch['message'], batchBytesMax: number): SealedBatch {
  const bytes = arena.batch(message.slot, message.byteLength).slice()
  const check = checkBatch(bytes, { batchBytesMax, workerId: WORKER_ID })
  if (!check.ok) throw new Error(`a sealed batch is refused: ${check.reason}`)
  const found = [...transactions(bytes)]
  const said = [message.sequence, message.transactions, message.transactionBytes]
  const wanted = [readBatchHeader(bytes).sequence, found.length, check.transactionBytes]
  if (said.join() !== wanted.join()) throw new Error(`said of a batch: ${said}, in it: ${wanted}`)
  return { message, bytes, transactions: found }
}

/** A client's connection, closed when the test ends. A reset by the node is what many tests wait for, not an error. */
export async function connectClient(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

export function frame(transaction: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + transaction.length)
  bytes.writeUInt32BE(transaction.length)
  bytes.set(transaction, 4)
  return bytes
}
