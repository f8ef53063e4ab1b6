import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { unsupervised } from '../../../src/main/lib/supervisor.js'
import { ProcessorClient } from '../../../src/main/thread-host/processor-client.js'

test('a batch that the processor hands over is told to who frees memory beside the heap, and no other answer', async () => {
  const { port1, port2 } = new MessageChannel()
  const told: number[] = []
  const client = new ProcessorClient(port1, unsupervised, { allocated: (bytes) => told.push(bytes) })
  onTestFinished(() => client.close())
  const digest = new Uint8Array(32)
  const answers = [{ author: new Uint8Array(32), bytes: new Uint8Array(5000) }, undefined, { deleted: 3 }]
  for (const answer of answers) {
    const asked = client.ask({ type: 'get', digest })
    const [{ id }] = await once(port2, 'message')
    port2.postMessage({ id, answer })
    expect(await asked).toEqual(answer)
  }
  expect(told).toEqual([5000])
})
