/** Sealing: what a batch costs beside its transactions, once it is full or its time is up. */

import { Counters } from '../../src/shared/memory/counters.js'
import { batchMakerToMain, mainToBatchMaker } from '../../src/shared/memory/dialogue/batch-maker.js'
import { Doorbell } from '../../src/shared/memory/doorbell.js'
import { createLayout } from '../../src/shared/memory/layout.js'
import { RingConsumer, RingProducer } from '../../src/shared/memory/ring.js'
import { Arena } from '../../src/shared/memory/slots.js'
import { writeBatchHeader } from '../../src/shared/wire/batch.js'
import { BatchMaker } from '../../src/threads/batch-maker/batch-maker.js'
import { measure } from '../lib/measure.js'
import { BATCH_BYTES, type Stage } from '../lib/stage.js'
import { clientStream } from '../lib/transactions.js'

const OWN_SLOTS = 8

export const seal: Stage = {
  name: 'seal',
  about: 'a batch of one transaction, sealed and handed to main through its ring, and its slot handed back',
  async run({ timeMs }) {
    const layout = createLayout({
      ownSlots: OWN_SLOTS,
      inboundSlotsPerPeer: 2,
      authorities: 4,
      batchBytesMax: BATCH_BYTES,
    })
    const { rings } = layout
    const mainDoorbell = new Doorbell(layout.doorbells.main)
    const toMain = new RingProducer(rings.batchMakerToMain, batchMakerToMain)
    const atMain = new RingConsumer(rings.batchMakerToMain, batchMakerToMain)
    const fromMain = new RingProducer(rings.mainToBatchMaker, mainToBatchMaker)
    const incoming = new RingConsumer(rings.mainToBatchMaker, mainToBatchMaker)
    const batchMaker = new BatchMaker(
      { workerId: 0, batchBytesMax: BATCH_BYTES, maxBatchDelayMs: 60_000 },
      {
        arena: new Arena(layout.own),
        counters: new Counters(layout.counters['batch-maker'], 'batch-maker'),
        send(message) {
          toMain.push(message)
          mainDoorbell.ring()
        },
      },
    )
    batchMaker.handle({ kind: 'range', start: 0n, end: 2n ** 63n })
    for (let slot = 0; slot < OWN_SLOTS; slot += 1) batchMaker.handle({ kind: 'slot', slot })

    const frame = clientStream(512, 1)
    const header = new Uint8Array(new SharedArrayBuffer(BATCH_BYTES))
    return measure(
      this.name,
      [
        {
          name: 'open, take one transaction of 512 B, seal, rings there and back',
          op: 'batch',
          run() {
            batchMaker.take(frame, 0, frame.length)
            batchMaker.flush()
            atMain.drain((message) => {
              if (message.kind === 'sealed') fromMain.push({ kind: 'slot', slot: message.slot })
            }, OWN_SLOTS)
            return incoming.drain((message) => {
              if (message.kind !== 'close') batchMaker.handle(message)
            }, OWN_SLOTS)
          },
        },
        {
          name: 'the header alone',
          op: 'batch',
          run: () => writeBatchHeader(header, { workerId: 0, count: 968, bodyBytes: 499_488, sequence: 1n }),
        },
      ],
      timeMs,
    )
  },
}
