/** The messages of bincode between worker and primary. */
import { randomBytes } from 'node:crypto'
import {
  decodePrimaryWorkerMessage,
  decodeWorkerPrimaryMessage,
  encodePrimaryWorkerMessage,
  encodeWorkerPrimaryMessage,
  type PrimaryWorkerMessage,
  type WorkerPrimaryMessage,
} from '../../src/shared/wire/primary-messages.js'
import { type Case, measure } from '../lib/measure.js'
import type { Stage } from '../lib/stage.js'

export const bincode: Stage = {
  name: 'bincode',
  about: 'messages between worker and primary (bincode)',
  run: ({ timeMs }) => {
    const digests = Array.from({ length: 1000 }, () => new Uint8Array(randomBytes(32)))
    const target = new Uint8Array(randomBytes(32))
    return measure(
      'bincode',
      [
        ...toPrimary({ type: 'OurBatch', digest: digests[0]!, workerId: 0 }),
        ...toWorker('Cleanup', { type: 'Cleanup', round: 1234n }),
        ...[1, 64, 1000].flatMap((count) =>
          toWorker(`Synchronize, digests × ${count}`, {
            type: 'Synchronize',
            digests: digests.slice(0, count),
            target,
          }),
        ),
      ],
      timeMs,
    )
  },
}

function toPrimary(message: WorkerPrimaryMessage): Case[] {
  const encoded = encodeWorkerPrimaryMessage(message)
  const of = { op: `message of ${encoded.length} B`, bytes: encoded.length }
  return [
    { ...of, name: `${message.type}: encode`, run: () => encodeWorkerPrimaryMessage(message) },
    { ...of, name: `${message.type}: decode`, run: () => decodeWorkerPrimaryMessage(encoded) },
  ]
}

function toWorker(name: string, message: PrimaryWorkerMessage): Case[] {
  const encoded = encodePrimaryWorkerMessage(message)
  const of = { op: `message of ${encoded.length} B`, bytes: encoded.length }
  return [
    { ...of, name: `${name}: encode`, run: () => encodePrimaryWorkerMessage(message) },
    { ...of, name: `${name}: decode`, run: () => decodePrimaryWorkerMessage(encoded) },
  ]
}
