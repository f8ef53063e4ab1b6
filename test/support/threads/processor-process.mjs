/** The processor thread of dist in a process of its own, which is in the place of main: no test runner is there. */
import { MessageChannel } from 'node:worker_threads'
import { MainRings } from '../../../dist/main/thread-host/main-rings.js'
import { ProcessorClient } from '../../../dist/main/thread-host/processor-client.js'
import { Threads } from '../../../dist/main/thread-host/threads.js'
import { createLayout } from '../../../dist/shared/memory/layout.js'
import { Arena } from '../../../dist/shared/memory/slots.js'

/** `authorities` are keys in hex. Returns main's ends of everything, when the thread is ready. */
export async function startProcessorHere(options, { log, onDied }) {
  const { authorities, batchBytesMax, directory, inboundSlotsPerPeer, level, ownIndex, ownSlots, workerId } = options
  const keys = authorities.map((key) => Uint8Array.from(Buffer.from(key, 'hex')))
  const layout = createLayout({ ownSlots, inboundSlotsPerPeer, authorities: keys.length, batchBytesMax })
  const rings = new MainRings(layout)
  const threads = new Threads({ layout, log, onDied })
  const { port1, port2 } = new MessageChannel()
  const client = new ProcessorClient(port1)
  const task = {
    layout,
    control: port2,
    processor: {
      workerId,
      batchBytesMax,
      authorities: keys,
      stakes: keys.map(() => 1),
      ownIndex,
      storeBytesMax: 2 ** 40,
      benchmark: false,
    },
    store: { directory, authority: keys[ownIndex], workerId, level, retentionRounds: options.retentionRounds ?? 0 },
  }
  await threads.start('processor', task, [port2])
  return { client, inbound: new Arena(layout.inbound), keys, layout, own: new Arena(layout.own), rings, threads }
}
