/** The gateway of a running authority, over sockets: what it answers, and what it refuses. One authority serves all cases. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../../../src/client/index.js'
import type { Authority } from '../../../src/index.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { OPENAPI } from '../../../src/threads/gateway/openapi.js'
import { logOf, narval, optionsOf } from '../../support/authority-under-test.js'
import { freePorts } from '../../support/free-ports.js'
import { until } from '../../support/until.js'

interface Event {
  id?: string
  event?: string
  data?: Record<string, unknown>
}

const directory = mkdtempSync(join(tmpdir(), 'narval-gateway-'))
const lines: string[] = []
const sent = Array.from({ length: 60 }, (_, n) => Buffer.from(`transaction ${n} `.padEnd(3_000, 'x')))
let authority: Authority
let port: number
let base: string
let authorityName: string

const idOf = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex')

beforeAll(async () => {
  const keys = generateKeys()
  authorityName = keys.name
  const first = await freePorts(6)
  const committee = parseCommittee(localCommittee([keys.name], 1, first), 'test')
  port = first + 5
  base = `http://127.0.0.1:${port}`
  narval.markFresh(directory, keys)
  const member = { keys, committee, store: directory, lines }
  authority = await narval.startAuthority(
    optionsOf(member, {
      api: { host: '127.0.0.1', port },
      apiOrigins: ['https://app.example.org'],
      log: logOf(member),
    }),
  )
  // Half of them one by one, in batches of their own.
  for (const transaction of sent.slice(0, 10)) {
    await authority.submit(transaction)
    await sleep(20)
  }
  await Promise.all(sent.slice(10).map((transaction) => authority.submit(transaction)))
  let ordered = 0
  for await (const commit of authority.commits()) {
    for await (const batch of commit.batches()) ordered += batch.transactionCount
    if (ordered === sent.length) break
  }
})

afterAll(async () => {
  await authority.close()
  rmSync(directory, { recursive: true, force: true })
})

// biome-ignore lint/suspicious/noExplicitAny: answers have many shapes
async function json(path: string, init?: RequestInit): Promise<{ status: number; headers: Headers; body: any }> {
  const response = await fetch(`${base}${path}`, init)
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

/** Events of the stream until `isEnough`. */
async function events(path: string, isEnough: (all: Event[]) => boolean, headers = {}): Promise<Event[]> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${base}${path}`, { headers }, resolve).on('error', reject)
  })
  expect(response.statusCode).toBe(200)
  expect(response.headers['content-type']).toMatch(/^text\/event-stream/)
  const all: Event[] = []
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const fields = block.split('\n').filter((line) => !line.startsWith(':'))
      if (fields.length === 0) continue
      const event = Object.fromEntries(fields.map((line) => line.split(/: (.*)/s).slice(0, 2)))
      all.push({ ...event, data: JSON.parse(event.data) })
    }
    if (isEnough(all)) break
  }
  response.destroy()
  return all
}

function posted(body: Buffer, type = 'application/octet-stream'): RequestInit {
  return { method: 'POST', headers: { 'content-type': type }, body }
}

function framed(text: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, Buffer.from(text)])
}

const transactionsIn = (all: readonly Event[]): string[] =>
  all.flatMap(({ data }) => (data?.transactions as string[] | undefined) ?? [])
const texts = (all: readonly Event[]): string[] =>
  transactionsIn(all).map((text) => Buffer.from(text, 'base64').toString())
const sorted = (list: readonly string[]): string[] => [...list].sort()
const hasAll = (all: Event[]): boolean => transactionsIn(all).length >= sent.length && all.at(-1)?.event === 'commit'

/** Opens a socket, says something, and gives what comes until its end. */
async function raw(text: string, onOpen?: (socket: Socket) => void): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  let said = ''
  socket.setEncoding('utf8').on('data', (more) => {
    said += more
  })
  await new Promise((resolve) => {
    socket.once('close', resolve)
    socket.once('connect', () => {
      socket.write(text)
      onOpen?.(socket)
    })
  })
  return said
}

describe('the gateway', () => {
  test('says how its authority is, who the committee is, and what the latest checkpoint is', async () => {
    const status = await json('/v1/status')
    expect(status).toMatchObject({
      status: 200,
      body: { ok: true, ordering: true, oldest: 1, peers: [], problems: [] },
    })
    expect(status.body.head).toBeGreaterThan(0)
    const { body: committee } = await json('/v1/committee')
    expect(committee.authorities).toEqual({ [status.body.authority]: { stake: 1, primary: {}, workers: { 0: {} } } })
    expect(committee.digest).toMatch(/^[\da-f]{64}$/)
    await until('what the gateway counts', async () => (await json('/v1/checkpoints/latest')).status === 200)
    const { body: latest } = await json('/v1/checkpoints/latest')
    expect(latest).toMatchObject({ signers: [status.body.authority], root: expect.stringMatching(/^[\da-f]{64}$/) })
    expect((await json(`/v1/checkpoints/${latest.index}`)).body).toEqual(latest)
    expect(await json('/v1/checkpoints/7')).toMatchObject({ status: 404, body: { code: 'ERR_CHECKPOINT_NOT_FOUND' } })
  })

  test('gives commits as the log has them, for keeping', async () => {
    const { body: several, headers } = await json('/v1/commits?after=0&limit=3')
    expect(headers.get('cache-control')).toMatch(/immutable/)
    expect(several.commits.map(({ index }: { index: number }) => index)).toEqual([1, 2, 3])
    expect(several.commits[1].previous).toBe(several.commits[0].digest)
    for await (const commit of authority.commits()) {
      const { body, headers: ofOne } = await json(`/v1/commits/${commit.index}`)
      const digest = Buffer.from(commit.digest()).toString('hex')
      expect(body).toMatchObject({ index: commit.index, digest, timestamp: commit.timestamp })
      const batches: object[] = []
      for await (const batch of commit.batches()) {
        batches.push({ position: batch.cursor.position, digest: Buffer.from(batch.digest).toString('hex') })
      }
      expect(body.batches).toMatchObject(batches)
      const again = await fetch(`${base}/v1/commits/${commit.index}`, {
        headers: { 'if-none-match': ofOne.get('etag')! },
      })
      expect([again.status, await again.text()]).toEqual([304, ''])
      break
    }
    const { body: end } = await json('/v1/commits?after=0&limit=1000')
    expect(end).toMatchObject({ oldest: 1 })
    expect(end.last).toBeGreaterThanOrEqual(end.commits.length)
  })

  test('streams the order in pieces, and goes on behind any cursor without a gap or a repetition', async () => {
    const all = await events('/v1/stream?after=0', hasAll)
    expect(sorted(texts(all))).toEqual(sorted(sent.map(String)))
    const order = texts(await events('/v1/stream?after=0', hasAll))
    expect(order).toEqual(texts(all))
    // A batch of more than an event comes in several, and only its last has an id.
    const pieces = all.filter(({ event, id }) => event === 'batch' && id === undefined)
    expect(pieces.length).toBeGreaterThan(0)
    for (const [at, { id }] of all.entries()) {
      if (id === undefined) continue
      const rest = all.slice(at + 1)
      if (transactionsIn(rest).length === 0) break
      const isEnough = (found: Event[]): boolean => transactionsIn(found).length >= transactionsIn(rest).length
      const found = await events('/v1/stream', isEnough, { 'last-event-id': id })
      expect(texts(found)).toEqual(texts(rest))
    }
    const heads = await events('/v1/stream?after=0&payload=false&empty=true', (found) => found.length >= 5)
    expect(transactionsIn(heads)).toEqual([])
  })

  test('shows a reader at the end what comes', async () => {
    const { body } = await json('/v1/status')
    const coming = events(`/v1/stream?after=${body.head}`, (all) => transactionsIn(all).length > 0)
    await authority.submit(Buffer.from('one more'))
    expect(texts(await coming)).toEqual(['one more'])
  })

  test('takes transactions, one or many, by the SHA-256 of their bytes, and has them ordered', async () => {
    const { body: status } = await json('/v1/status')
    const coming = events(`/v1/stream?after=${status.head}`, (all) => transactionsIn(all).length >= 4)
    expect(await json('/v1/transactions?wait=queued', posted(Buffer.from('posted')))).toMatchObject({
      ...{ status: 200, body: { id: idOf('posted'), stage: 'queued' } },
    })
    const many = ['p1', 'p2', 'p3']
    const { body, status: code } = await json('/v1/transactions/batch', posted(Buffer.concat(many.map(framed))))
    expect([code, body.receipts]).toEqual([200, many.map((text) => ({ id: idOf(text), stage: 'queued' }))])
    expect(sorted(texts(await coming))).toEqual(['p1', 'p2', 'p3', 'posted'])
  })

  test('is what narval-node/client speaks to', async () => {
    const client = new Client({ urls: base })
    const transaction = Buffer.from('by the client')
    expect(await client.submit(transaction)).toEqual({ id: idOf(transaction), stage: 'queued' })
    const found: string[] = []
    let commit = 0
    for await (const event of client.stream({ after: '0' })) {
      if (event.type === 'batch') found.push(...event.transactions.map((bytes) => Buffer.from(bytes).toString()))
      commit = event.commit
      if (found.includes('by the client') && event.type === 'commit') break
    }
    expect(found).toEqual(expect.arrayContaining(sent.map((bytes) => bytes.toString())))
    expect(await client.commit(commit)).toMatchObject({ index: commit })
    expect(await client.commits({ after: commit - 1, limit: 1 })).toMatchObject({ commits: [{ index: commit }] })
    expect(await client.status()).toMatchObject({ authority: authorityName })
    expect(Object.keys((await client.committee()).authorities as object)).toEqual([authorityName])
    // It has no index of transactions: that is said, and not that nothing is known of this one.
    await expect(client.receipt(idOf(transaction))).rejects.toMatchObject({ code: 'ERR_ROUTE_NOT_FOUND' })
    await expect(client.submit(transaction, { wait: 'certified' })).rejects.toMatchObject({ status: 400 })
  })

  test('answers probes and scrapers', async () => {
    expect(await (await fetch(`${base}/livez`)).text()).toBe('ok\n')
    expect((await json('/readyz')).body).toMatchObject({ ok: true })
    expect(await (await fetch(`${base}/metrics`)).text()).toMatch(/^narval_gateway_requests_total [1-9]/m)
  })

  test('has the routes of its OpenAPI document, and no others', async () => {
    const { body } = await json('/v1/openapi.json')
    expect(body).toEqual(JSON.parse(JSON.stringify(OPENAPI)))
    for (const [path, methods] of Object.entries(OPENAPI.paths)) {
      const at = path === '/v1/stream' ? `${path}?after=x` : path.replace(/\{\w+\}/, 'x')
      const method = Object.keys(methods)[0]!.toUpperCase()
      const response = await fetch(`${base}${at}`, { method })
      await response.arrayBuffer()
      expect([path, response.status]).not.toEqual([path, 404])
    }
    expect(await json('/v1/other')).toMatchObject({ status: 404, body: { code: 'ERR_ROUTE_NOT_FOUND' } })
  })

  test('lets pages of the origins that it was told call, and no others', async () => {
    const asked = { method: 'OPTIONS', headers: { origin: 'https://app.example.org' } }
    const allowed = await fetch(`${base}/v1/status`, asked)
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([
      204,
      'https://app.example.org',
    ])
    const other = await fetch(`${base}/v1/status`, { headers: { origin: 'https://other.example.org' } })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
    await other.arrayBuffer()
    // A foreign name that leads to loopback.
    const rebound = await raw('GET /v1/status HTTP/1.1\r\nhost: evil.example.org\r\nconnection: close\r\n\r\n')
    expect(rebound).toMatch(/^HTTP\/1\.1 421 /)
  })
})

describe('what is wrong is refused by name', () => {
  test.each([
    ['/v1/commits/0', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits/-1', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits/1e3', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits/99999999999999999999', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits/9007199254740991', 404, 'ERR_COMMIT_NOT_FOUND'],
    ['/v1/commits?limit=1001', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits?limit=1&limit=2', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits?afer=1', 400, 'ERR_REQUEST_MALFORMED'],
    [`/v1/commits/${'1'.repeat(200)}`, 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/commits/%ff', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/stream?after=x', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/stream?after=1.', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/stream?after=0.1', 400, 'ERR_REQUEST_MALFORMED'],
    ['/v1/stream?after=900000000', 404, 'ERR_CURSOR_AHEAD'],
    ['/v1/stream?payload=1', 400, 'ERR_REQUEST_MALFORMED'],
  ])('%s', async (path, status, code) => {
    const answer = await json(path)
    expect(answer).toMatchObject({ status, body: { status, code, detail: expect.any(String) } })
    expect(answer.headers.get('content-type')).toMatch('application/problem+json')
  })

  test.each([
    ['', Buffer.alloc(0), 'application/octet-stream', 400, 'ERR_TRANSACTION_EMPTY'],
    ['', Buffer.from('{}'), 'application/json', 415, 'ERR_CONTENT_TYPE'],
    ['', Buffer.from('x'), 'text/plain', 415, 'ERR_CONTENT_TYPE'],
    ['?wait=ordred', Buffer.from('x'), 'application/octet-stream', 400, 'ERR_REQUEST_MALFORMED'],
    ['', Buffer.alloc(600_000), 'application/octet-stream', 413, 'ERR_REQUEST_TOO_LARGE'],
    ['/batch', Buffer.alloc(5_000_000), 'application/octet-stream', 413, 'ERR_REQUEST_TOO_LARGE'],
    ['/batch', Buffer.from('0000000', 'hex'), 'application/octet-stream', 400, 'ERR_REQUEST_MALFORMED'],
    ['/batch', Buffer.from('0000000561', 'hex'), 'application/octet-stream', 400, 'ERR_REQUEST_MALFORMED'],
    ['/batch', Buffer.from('00000000', 'hex'), 'application/octet-stream', 400, 'ERR_TRANSACTION_EMPTY'],
    ['/batch', Buffer.alloc(0), 'application/octet-stream', 400, 'ERR_REQUEST_MALFORMED'],
  ])('a body: %s %#', async (path, body, type, status, code) => {
    expect(await json(`/v1/transactions${path}`, posted(body, type))).toMatchObject({ status, body: { status, code } })
  })

  test('half a body: nothing is taken, and the connection is given up', async () => {
    const head = 'POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n'
    const { body: before } = await json('/v1/status')
    const said = await raw(`${head}content-length: 100\r\n\r\nhalf a body`, (socket) =>
      setTimeout(() => socket.end(), 200),
    )
    expect(said).not.toMatch(/^HTTP\/1\.1 200/)
    await json('/v1/transactions', posted(Buffer.from('behind the half')))
    const coming = events(`/v1/stream?after=${before.head}`, (all) => texts(all).includes('behind the half'))
    expect(texts(await coming).filter((text) => text.startsWith('half'))).toEqual([])
  })

  test('a request that is none, a head that is too large, and a body where none is taken', async () => {
    expect(await raw('\x16\x03\x01\x02\x00\x01\x00\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*ERR_REQUEST_MALFORMED/s)
    const head = `GET /v1/status HTTP/1.1\r\nhost: localhost\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await raw(head)).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect((await json('/v1/status', { method: 'POST', body: 'x' })).status).toBe(404)
  })
})

describe('what clients do holds up nobody else', () => {
  test('500 readers at rest, 20 that do not read, and 200 half requests, while others are answered', async () => {
    const sockets: Socket[] = []
    const open = (text: string, reads: boolean): void => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      socket.on('error', () => {})
      if (reads) socket.resume()
      else socket.pause()
      sockets.push(socket)
    }
    const stream = (after: string): string => `GET /v1/stream${after} HTTP/1.1\r\nhost: localhost\r\n\r\n`
    for (let n = 0; n < 500; n += 1) open(stream(''), true)
    for (let n = 0; n < 20; n += 1) open(stream('?after=0'), false)
    for (let n = 0; n < 200; n += 1) open('GET /v1/status HTTP/1.1\r\nhost: loc', true)
    await until('what the gateway counts', async () => /^narval_gateway_streams 520$/m.test(await authority.metrics()))
    const began = performance.now()
    const marks = Array.from({ length: 10 }, (_, n) => `under load ${n}`)
    const { body } = await json('/v1/status')
    const coming = events(`/v1/stream?after=${body.head}`, (all) => transactionsIn(all).length >= marks.length)
    for (const mark of marks) await authority.submit(Buffer.from(mark))
    expect(sorted(texts(await coming))).toEqual(marks)
    expect(performance.now() - began).toBeLessThan(10_000)
    // Beyond all places of readers, the address that has them all is told to come later.
    for (let n = 0; n < 130; n += 1) open(stream(''), true)
    await until('the gateway counts', async () => /^narval_gateway_streams 640$/m.test(await authority.metrics()))
    expect(await json('/v1/stream')).toMatchObject({ status: 429, body: { code: 'ERR_REQUEST_RATE' } })
    // The same of connections: they are closed at once, and those that were there are answered.
    for (let n = 0; n < 600; n += 1) open('', true)
    await until('what the gateway counts', async () =>
      /^narval_gateway_connections_refused_total [1-9]\d\d/m.test(await authority.metrics()),
    )
    for (const socket of sockets) socket.destroy()
    await until('what the gateway counts', async () => /^narval_gateway_streams 0$/m.test(await authority.metrics()))
    expect((await json('/v1/status')).status).toBe(200)
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([])
  }, 60_000)

  test('a head that comes byte by byte is given up', async () => {
    const began = performance.now()
    const said = await raw('GET /v1/status HTTP/1.1\r\n', (socket) => {
      const timer = setInterval(() => socket.write('x'), 200)
      socket.once('close', () => clearInterval(timer))
    })
    expect(said).toMatch(/^(HTTP\/1\.1 408 .*)?$/s)
    expect(performance.now() - began).toBeLessThan(25_000)
  }, 30_000)
})
