/** Main's end of the port to the primary's thread, with the test as the thread. */
import { MessageChannel } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { PrimaryClient } from '../../../src/main/primary/primary-client.js'
import { PRIMARY_INBOUND_BYTES_MAX, PRIMARY_INBOUND_MESSAGES_MAX } from '../../../src/shared/constants.js'
import type { PrimaryToMain } from '../../../src/shared/memory/dialogue/primary.js'
import { until } from '../../support/until.js'

test.each([
  ['messages', 1, PRIMARY_INBOUND_MESSAGES_MAX],
  ['bytes', PRIMARY_INBOUND_BYTES_MAX / 4, 4],
])('a peer has credits for so many %s, and has them again when the thread has taken some', async (_, bytes, count) => {
  const { port1, port2 } = new MessageChannel()
  const credited: number[] = []
  const client = new PrimaryClient(port1, 4, { onOutput() {}, onCredit: (peer) => void credited.push(peer) })
  onTestFinished(() => client.close())
  for (let sent = 0; sent < count; sent += 1) {
    expect(client.hasCredit(1)).toBe(true)
    client.message(1, new Uint8Array(bytes))
  }
  expect(client.hasCredit(1)).toBe(false)
  expect(client.hasCredit(2)).toBe(true)
  port2.postMessage({
    sends: [],
    requests: [],
    batchesStored: 0,
    taken: [{ from: 1, messages: 1, bytes }],
    refusals: [],
    notices: [],
  } satisfies PrimaryToMain)
  await until('its credit is back', () => credited.length === 1)
  expect(credited).toEqual([1])
  expect(client.hasCredit(1)).toBe(true)
})
