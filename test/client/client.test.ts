/** The client against servers that fail as gateways and networks do: it comes through, or says why not. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { Client } from '../../src/client/client.js'
import { GatewayError } from '../../src/client/gateway-error.js'
import { compareCursors, type StreamEvent } from '../../src/client/stream.js'
import { sha256 } from '../../src/shared/wire/primary/sha256.js'
import { encodeReceiptProof } from '../../src/shared/wire/proof/receipt-proof.js'
import { handCommittee, handProof, handVerifier } from '../support/receipt-proofs.js'
import { until } from '../support/until.js'

interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}
type Answer = (asked: Asked, response: ServerResponse) => void

/** A server whose requests are answered in turn, the last one for ever; what was asked is written down. */
async function serverOf(...answers: Answer[]): Promise<{ url: string; asked: Asked[]; close: () => void }> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const { pathname, searchParams } = new URL(request.url!, 'http://localhost')
    const entry = {
      method: request.method!,
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body: Buffer.concat(pieces),
    }
    asked.push(entry)
    answers[Math.min(asked.length, answers.length) - 1]!(entry, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  onTestFinished(close)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, close }
}

const json =
  (status: number, body: object, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
const drop: Answer = (_, response) => void response.destroy()
const TRANSACTION = Buffer.from('a transaction')
const ID = Buffer.from(sha256(TRANSACTION)).toString('hex')
const receipt = (stage: string, more: object = {}) => ({ id: ID, stage, ...more })
const ordered = receipt('ordered', {
  batch: 'ab'.repeat(32),
  place: { commit: 3, position: 0, index: 1 },
  timestamp: 7,
})

test('a transaction is handed in, and its receipt is that of the stage', async () => {
  const { url, asked } = await serverOf(json(200, { ...ordered, later: 'fields are passed over' }))
  const client = new Client({ urls: `${url}/`, token: 'secret' })
  expect(await client.submit(TRANSACTION, { wait: 'ordered' })).toEqual(ordered)
  expect(asked).toHaveLength(1)
  expect([asked[0]!.method, asked[0]!.path, asked[0]!.query.get('wait')]).toEqual([
    'POST',
    '/v1/transactions',
    'ordered',
  ])
  expect(asked[0]!.query.get('timeout')).toMatch(/^\d+s$/)
  expect(asked[0]!.headers).toMatchObject({
    authorization: 'Bearer secret',
    'content-type': 'application/octet-stream',
  })
  expect(asked[0]!.body.equals(TRANSACTION)).toBe(true)
})

test('a gateway that did not wait long enough is asked for the receipt, until the stage is reached', async () => {
  const { url, asked } = await serverOf(
    json(202, receipt('queued')),
    json(200, receipt('stored')),
    json(200, receipt('certified')),
    json(200, ordered),
  )
  expect(await new Client({ urls: url }).submit(TRANSACTION, { wait: 'ordered' })).toEqual(ordered)
  expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'POST /v1/transactions',
    ...Array(3).fill(`GET /v1/transactions/${ID}`),
  ])
})

test('when the time is over, the receipt is as far as it came', async () => {
  const { url } = await serverOf(json(202, receipt('queued')), json(200, receipt('stored')))
  const found = await new Client({ urls: url }).submit(TRANSACTION, { wait: 'attested', timeoutMs: 700 })
  expect(found).toEqual(receipt('stored'))
})

test('a gateway that breaks off, refuses for now or answers nonsense is passed over; the same bytes go to the next', async () => {
  const failures: Answer[] = [
    drop,
    json(503, { code: 'ERR_BUSY', detail: 'full' }, { 'retry-after': '1' }),
    json(429, {}),
    json(200, { ...ordered, id: 'cd'.repeat(32) }),
    json(200, { ...ordered, stage: 'somewhere' }),
    json(200, { ...ordered, place: { commit: -1 } }),
    (_, response) => void response.writeHead(200).end('{'),
    (_, response) => void response.writeHead(200, { 'content-length': '100' }).end('{}').destroy(),
  ]
  for (const failure of failures) {
    const bad = await serverOf(failure)
    const good = await serverOf(json(200, ordered))
    const client = new Client({ urls: [bad.url, good.url] })
    const began = Date.now()
    expect(await client.submit(TRANSACTION, { wait: 'ordered' })).toEqual(ordered)
    // There is another authority: nobody waits.
    expect(Date.now() - began).toBeLessThan(900)
    expect(good.asked[0]!.body.equals(TRANSACTION)).toBe(true)
    // It stays with the one that answers.
    await client.submit(TRANSACTION, { wait: 'ordered' })
    expect([bad.asked.length, good.asked.length]).toEqual([1, 2])
  }
})

test('behind a failure a transaction that is known is followed, and not handed in twice', async () => {
  const first = await serverOf(json(202, receipt('stored')), drop)
  const knowing = await serverOf(json(200, ordered))
  expect(await new Client({ urls: [first.url, knowing.url] }).submit(TRANSACTION, { wait: 'ordered' })).toEqual(ordered)
  expect(knowing.asked.map(({ method }) => method)).toEqual(['GET'])
  const other = await serverOf(json(202, receipt('stored')), drop)
  const ignorant = await serverOf(json(404, { code: 'ERR_TRANSACTION_NOT_FOUND' }), json(200, ordered))
  expect(await new Client({ urls: [other.url, ignorant.url] }).submit(TRANSACTION, { wait: 'ordered' })).toEqual(
    ordered,
  )
  expect(ignorant.asked.map(({ method }) => method)).toEqual(['GET', 'POST'])
})

test('one gateway alone is asked again after a pause, as long as it says', async () => {
  const { url, asked } = await serverOf(drop, json(503, {}, { 'retry-after': '1' }), json(200, ordered))
  const began = Date.now()
  expect(await new Client({ urls: url }).submit(TRANSACTION, { wait: 'ordered' })).toEqual(ordered)
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_000)
  expect(asked).toHaveLength(3)
})

test('what is refused for good is not tried again, and says why as the gateway does', async () => {
  const problem = { title: 'too large', status: 413, detail: '9 bytes, at most 8', code: 'ERR_TRANSACTION_TOO_LARGE' }
  const [first, second] = [await serverOf(json(413, problem)), await serverOf(json(200, ordered))]
  const failed = new Client({ urls: [first.url, second.url] }).submit(TRANSACTION)
  await expect(failed).rejects.toMatchObject({
    code: 'ERR_TRANSACTION_TOO_LARGE',
    status: 413,
    message: '9 bytes, at most 8',
  })
  expect(second.asked).toHaveLength(0)
})

test('without any gateway it fails when the time is over, and at once when it is aborted', async () => {
  const dead = await serverOf(drop)
  dead.close()
  const client = new Client({ urls: dead.url })
  const began = Date.now()
  await expect(client.submit(TRANSACTION, { timeoutMs: 500 })).rejects.toMatchObject({ code: 'ERR_UNREACHABLE' })
  expect(Date.now() - began).toBeLessThan(5_000)
  const mute = await serverOf(() => {})
  const why = new Error('changed my mind')
  const controller = new AbortController()
  const waiting = new Client({ urls: mute.url }).submit(TRANSACTION, { signal: controller.signal })
  await until('it was asked', () => mute.asked.length === 1)
  controller.abort(why)
  await expect(waiting).rejects.toBe(why)
})

test('a receipt that no gateway knows is undefined; commits that are gone say what is the oldest', async () => {
  const { url } = await serverOf(
    json(404, {}),
    json(410, { code: 'ERR_COMMITS_PRUNED', oldest: 17 }),
    json(200, { commit: 17 }),
  )
  const client = new Client({ urls: url })
  expect(await client.receipt(ID)).toBe(undefined)
  await expect(client.commit(3)).rejects.toMatchObject({ code: 'ERR_COMMITS_PRUNED', status: 410, oldest: 17 })
  expect(await client.commit(17)).toEqual({ commit: 17 })
})

test('a proof is verified, and a gateway that forges one is passed over', async () => {
  const committee = handCommittee([1, 2, 3, 4])
  const transaction = Buffer.from('second')
  const proof = encodeReceiptProof(handProof(committee))
  const send =
    (bytes: Uint8Array, status = 200): Answer =>
    (_, response) =>
      void response.writeHead(status, { 'content-type': 'application/octet-stream' }).end(bytes)
  const forged = Uint8Array.from(proof)
  forged[forged.length - 1]! ^= 1
  const [liar, honest] = [await serverOf(send(forged)), await serverOf(send(new Uint8Array(0), 202), send(proof))]
  const client = new Client({ urls: [liar.url, honest.url] })
  const id = sha256(transaction)
  expect(await client.prove(handVerifier(committee), id)).toMatchObject({ stage: 'attested', place: { commit: 3 } })
  expect(liar.asked.length).toBeGreaterThan(0)
  // A proof of another transaction, however valid, is none of this one.
  const other = await serverOf(send(proof))
  const asked = new Client({ urls: other.url }).prove(handVerifier(committee), 'ab'.repeat(32), { timeoutMs: 300 })
  await expect(asked).rejects.toMatchObject({ code: 'ERR_PROOF_REFUSED' })
})

/** What was written has arrived by then. */
const breakOff = (response: ServerResponse): void => void setTimeout(() => response.destroy(), 200)
const batch = (id: string, more: object = {}): object => {
  const [commit, position] = id.split('.').map(Number)
  const [text] = [Buffer.from(`of ${id}`).toString('base64')]
  return { commit, position, timestamp: 7, digest: 'ab'.repeat(32), transactions: [text], ...more }
}
const event = (id: string): string => `id: ${id}\nevent: batch\ndata: ${JSON.stringify(batch(id))}\n\n`
const events =
  (ids: readonly string[], end: 'drop' | 'end' | 'stay'): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`: heartbeat\n\n${ids.map(event).join('')}`, () => {
      if (end === 'drop') breakOff(response)
      if (end === 'end') response.end()
    })
  }
async function take(stream: AsyncIterable<StreamEvent>, count: number): Promise<string[]> {
  const taken: string[] = []
  for await (const { cursor } of stream) if (taken.push(cursor) === count) break
  return taken
}

test('a stream goes on where it was broken off, at another authority, and gives each event once', async () => {
  const first = await serverOf(events(['1.0', '1.1', '2.0'], 'drop'), events(['3.0', '3.1', '10.0'], 'stay'))
  const second = await serverOf(events(['1.1', '2.0', '2.1'], 'end'))
  const client = new Client({ urls: [first.url, second.url] })
  expect(await take(client.stream({ after: '0' }), 7)).toEqual(['1.0', '1.1', '2.0', '2.1', '3.0', '3.1', '10.0'])
  expect(first.asked.map(({ query }) => query.get('after'))).toEqual(['0', '2.1'])
  expect(second.asked[0]!.headers['last-event-id']).toBe('2.0')
})

test('a stream ends with the loop, and its connection with it; with the signal, and without an error', async () => {
  let closed = 0
  const { url } = await serverOf((asked, response) => {
    response.on('close', () => {
      closed += 1
    })
    events(['1.0'], 'stay')(asked, response)
  })
  const client = new Client({ urls: url })
  expect(await take(client.stream(), 1)).toEqual(['1.0'])
  await until('the connection is closed', () => closed === 1)
  const controller = new AbortController()
  const stream = client.stream({ signal: controller.signal })
  expect((await stream.next()).value).toMatchObject({ type: 'batch', cursor: '1.0', commit: 1, position: 0 })
  const next = stream.next()
  controller.abort()
  expect(await next).toEqual({ done: true, value: undefined })
  await until('the other connection is closed', () => closed === 2)
})

test('a stream from before what is kept fails with what is the oldest, and does not try again', async () => {
  const { url, asked } = await serverOf(json(410, { code: 'ERR_COMMITS_PRUNED', oldest: 9 }))
  await expect(take(new Client({ urls: url }).stream({ after: '2.0' }), 1)).rejects.toMatchObject({ oldest: 9 })
  expect(asked).toHaveLength(1)
})

test('a batch in pieces is given once and whole, also when it was broken off between them', async () => {
  const piece = (text: string): string =>
    `event: batch\ndata: ${JSON.stringify(batch('2.0', { transactions: [Buffer.from(text).toString('base64')] }))}\n\n`
  const last = `id: 2.0\n${piece('c')}id: 2\nevent: commit\ndata: {"commit":2,"timestamp":7}\n\n`
  const write =
    (text: string, isBroken: boolean): Answer =>
    (_, response) => {
      response.writeHead(200).write(text)
      if (isBroken) breakOff(response)
    }
  const { url } = await serverOf(write(event('1.0') + piece('a'), true), write(piece('a') + piece('b') + last, false))
  const found: StreamEvent[] = []
  for await (const each of new Client({ urls: url }).stream({ after: '0' })) if (found.push(each) === 3) break
  expect(found.map(({ cursor, type }) => `${type} ${cursor}`)).toEqual(['batch 1.0', 'batch 2.0', 'commit 2'])
  const { transactions } = found[1] as Extract<StreamEvent, { type: 'batch' }>
  expect(transactions.map((each) => Buffer.from(each).toString())).toEqual(['a', 'b', 'c'])
})

test('what a gateway says in place of an event counts: gone is gone, and what passes is asked of the next', async () => {
  const problem =
    (body: object): Answer =>
    (_, response) =>
      void response.writeHead(200).end(`event: problem\ndata: ${JSON.stringify(body)}\n\n`)
  const gone = await serverOf(problem({ status: 410, code: 'ERR_COMMITS_PRUNED', oldest: 5 }))
  await expect(take(new Client({ urls: gone.url }).stream(), 1)).rejects.toMatchObject({ oldest: 5 })
  const closing = await serverOf(problem({ status: 503, code: 'ERR_CLOSED' }))
  const behind = await serverOf(json(404, { code: 'ERR_CURSOR_AHEAD' }))
  const good = await serverOf(events(['1.0'], 'stay'))
  const client = new Client({ urls: [closing.url, behind.url, good.url] })
  expect(await take(client.stream({ after: '0' }), 1)).toEqual(['1.0'])
})

test('a gateway whose events are none is left for the next', async () => {
  const bad = await serverOf(
    (_, response) => void response.writeHead(200).end('id: x\nevent: commit\ndata: {"commit":1,"timestamp":1}\n\n'),
  )
  const worse = await serverOf((_, response) => void response.writeHead(200).end('id: 1.0\nevent: batch\ndata: {\n\n'))
  const good = await serverOf(events(['1.0'], 'stay'))
  expect(await take(new Client({ urls: [bad.url, worse.url, good.url] }).stream(), 1)).toEqual(['1.0'])
})

test('cursors are in the order of commits, then of positions; a whole commit is behind all of its positions', () => {
  const sorted = ['1', '2.0', '2.1', '2.10', '2', '10.0']
  expect([...sorted].reverse().sort(compareCursors)).toEqual(sorted)
})

test('what is handed in is checked', async () => {
  const wrong: unknown[] = [{}, { urls: [] }, { urls: 'host:1' }, { urls: 'http://a', tokens: 'x' }, { urls: [7] }]
  for (const options of wrong) expect(() => new Client(options as never)).toThrow()
  const client = new Client({ urls: 'http://127.0.0.1:1' })
  await expect(client.submit('text' as never)).rejects.toThrow(TypeError)
  await expect(client.submit(TRANSACTION, { wait: 'soon' as never })).rejects.toThrow(RangeError)
  await expect(client.receipt('AB')).rejects.toThrow(RangeError)
  expect(() => client.stream({ after: 'x' })).toThrow(GatewayError)
})
