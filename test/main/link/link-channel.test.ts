/** One stream of the link, as either end has it: what ends it when the other end is gone, or does not read. */
import type { Connection, Stream } from '@libp2p/interface'
import { expect, onTestFinished, test } from 'vitest'
import { unsupervised } from '../../../src/main/lib/supervisor.js'
import { LINK_MESSAGE_BYTES_MAX, LINK_QUEUE_BYTES_MAX } from '../../../src/main/link/limits.js'
import { LinkChannel } from '../../../src/main/link/link-channel.js'
import { StreamPairs } from '../../support/stream-pair.js'
import { until } from '../../support/until.js'

const PING = new Uint8Array([6])

interface End {
  readonly channel: LinkChannel
  readonly refusals: string[]
  readonly closed: string[]
  readonly messages: Uint8Array[]
}

function endOf(stream: Stream, more: { silenceMs?: number; unreadMs?: number } = {}): End {
  const [refusals, closed, messages]: [string[], string[], Uint8Array[]] = [[], [], []]
  // All that it does with its connection is to end it.
  const connection = {
    close: async () => {},
    abort: (error: Error) => stream.abort(error),
  } as unknown as Connection
  const channel = new LinkChannel(
    { connection, stream, bytesMax: LINK_MESSAGE_BYTES_MAX, ping: PING, ...more },
    {
      onMessage: (bytes) => void messages.push(bytes),
      onRefused: (reason) => void refusals.push(reason),
      onClosed: (why) => void closed.push(why),
    },
    unsupervised,
  )
  onTestFinished(() => channel.close('the test is over'))
  return { channel, refusals, closed, messages }
}

async function pairs(): Promise<StreamPairs> {
  const started = await StreamPairs.start()
  onTestFinished(() => started.stop())
  return started
}

test('an end that says nothing is taken for gone, and one that pings is not', async () => {
  const streams = await pairs()
  const quiet = await streams.open((stream) => endOf(stream, { silenceMs: 3_000 }))
  const pinging = await streams.open((stream) => endOf(stream, { silenceMs: 3_000 }))
  const near = endOf(pinging.near)
  await until('it is refused', () => quiet.far.refusals.length > 0)
  expect(quiet.far.refusals).toEqual(['link-silent'])
  expect(quiet.far.closed).toEqual([expect.stringContaining('link-silent: no message')])
  await until('its stream is gone', () => quiet.near.status !== 'open')
  expect([pinging.far.refusals, pinging.far.closed, near.closed]).toEqual([[], [], []])
})

test('an end that trickles a message counts as silent', async () => {
  const streams = await pairs()
  const { far, near } = await streams.open((stream) => endOf(stream, { silenceMs: 3_000 }))
  near.send(new Uint8Array([0, 240, 0, 0, 10, 0, 0, 0]))
  const trickle = setInterval(() => near.status === 'open' && near.send(new Uint8Array(1)), 100)
  onTestFinished(() => clearInterval(trickle))
  await until('it is refused', () => far.refusals.length > 0)
  expect(far.refusals).toEqual(['link-silent'])
})

test('an end that does not read has its bytes waiting up to their limit, and then no link', async () => {
  const streams = await pairs()
  const { far, near } = await streams.open((stream) => endOf(stream))
  near.pause()
  const message = new Uint8Array(LINK_MESSAGE_BYTES_MAX)
  for (let bytes = 0; bytes <= LINK_QUEUE_BYTES_MAX - message.length; bytes += message.length) far.channel.send(message)
  expect(far.refusals).toEqual([])
  expect(far.channel.queuedBytes).toBeGreaterThan(LINK_QUEUE_BYTES_MAX - message.length)
  far.channel.send(message)
  far.channel.send(message)
  expect(far.refusals).toEqual(['link-unread'])
  expect(far.channel.isClosed).toBe(true)
})

test('an end that reads nothing for long has no link either, however little waits and though it pings', async () => {
  const streams = await pairs()
  const { far, near } = await streams.open((stream) => endOf(stream, { unreadMs: 3_000 }))
  near.pause()
  // More than the first window and the sockets take.
  for (let count = 0; count < 64; count += 1) far.channel.send(new Uint8Array(LINK_MESSAGE_BYTES_MAX))
  const ping = setInterval(() => near.status === 'open' && near.send(new Uint8Array([1, 0, 0, 0, 10, 0, 0, 0, 6])), 500)
  onTestFinished(() => clearInterval(ping))
  await until('it is refused', () => far.refusals.length > 0)
  expect(far.refusals).toEqual(['link-unread'])
  expect(far.messages.length).toBeGreaterThan(0)
})
