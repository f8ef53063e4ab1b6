/**
 * Ingress: a client's bytes, cut into frames and copied into slots. Everything but the socket: chunks of what a socket
 * hands over at most go through the product's ClientConnection and BatchMaker, which seals full batches; their slots
 * come back at once.
 */
import type { Socket } from 'node:net'
import { Counters } from '../../src/shared/memory/counters.js'
import { createLayout } from '../../src/shared/memory/layout.js'
import { Arena } from '../../src/shared/memory/slots.js'
import { BatchMaker } from '../../src/threads/batch-maker/batch-maker.js'
import { CarryBudget } from '../../src/threads/batch-maker/carry-budget.js'
import { ClientConnection } from '../../src/threads/batch-maker/client-connection.js'
import { CLIENT_CARRY_BYTES_MAX } from '../../src/threads/batch-maker/limits.js'
import { measure } from '../lib/measure.js'
import { BATCH_BYTES, type Stage, TRANSACTION_SIZES } from '../lib/stage.js'
import { chunksOf, clientStream } from '../lib/transactions.js'
import { formatSize } from '../lib/units.js'

/** The most that Node reads from a socket at once. */
const CHUNK_BYTES = 64 * 1024
/** One call's stream: more than a cache, so that chunks come from memory, as they do from a socket. */
const STREAM_BYTES = 8 * 1024 * 1024
const OWN_SLOTS = 8

export const ingress: Stage = {
  name: 'ingress',
  about: "a client's bytes, scanned and copied into slots, in chunks of 64 KiB",
  async run({ timeMs }) {
    const rows = []
    for (const transactionBytes of TRANSACTION_SIZES) {
      const stream = clientStream(transactionBytes, STREAM_BYTES)
      const chunks = chunksOf(stream, CHUNK_BYTES)
      const { batchMaker, connection } = connect()
      rows.push(
        ...(await measure(
          this.name,
          [
            {
              name: `transactions of ${formatSize(transactionBytes)}`,
              op: 'transaction',
              ops: stream.length / (transactionBytes + 4),
              bytes: transactionBytes,
              run() {
                for (const chunk of chunks) connection.onData(chunk)
              },
            },
          ],
          timeMs,
        )),
      )
      // What is left in the slot that is being filled has a timer.
      batchMaker.flush()
    }
    return rows
  },
}

function connect(): { batchMaker: BatchMaker; connection: ClientConnection } {
  const layout = createLayout({
    ownSlots: OWN_SLOTS,
    inboundSlotsPerPeer: 2,
    authorities: 4,
    batchBytesMax: BATCH_BYTES,
  })
  const batchMaker = new BatchMaker(
    { workerId: 0, batchBytesMax: BATCH_BYTES, maxBatchDelayMs: 60_000 },
    {
      arena: new Arena(layout.own),
      counters: new Counters(layout.counters['batch-maker'], 'batch-maker'),
      send(message) {
        if (message.kind === 'sealed') batchMaker.handle({ kind: 'slot', slot: message.slot })
      },
    },
  )
  batchMaker.handle({ kind: 'range', start: 0n, end: 2n ** 63n })
  for (let slot = 0; slot < OWN_SLOTS; slot += 1) batchMaker.handle({ kind: 'slot', slot })
  const connection = new ClientConnection(unusedSocket(), '127.0.0.1', {
    batchMaker,
    carryBudget: new CarryBudget(
      { bytesMax: CLIENT_CARRY_BYTES_MAX, laggingAfterMs: 60_000, laggingBytesPerS: 1 },
      { onEvicted: (_, why) => fail(why), onRoom() {} },
    ),
    nowMs: () => performance.now(),
    onSpoke() {},
    onBlocked: () => fail('a connection waits for a slot'),
    onFinished: () => fail('a connection has ended'),
    onRefused: (_, reason, detail) => fail(`${reason}: ${detail}`),
  })
  return { batchMaker, connection }
}

/** A connection only ever pauses its socket, and asks whether it is paused. */
function unusedSocket(): Socket {
  return { isPaused: () => false } as Partial<Socket> as Socket
}

function fail(what: string): never {
  throw new Error(`ingress: ${what}`)
}
