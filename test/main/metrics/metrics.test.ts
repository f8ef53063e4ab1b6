import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { parseMetricsAddress } from '../../../src/main/http/http-address.js'
import { MetricsServer, type MetricsServerOptions } from '../../../src/main/http/http-server.js'
import { METRICS_CONNECTIONS_MAX, METRICS_HEADER_BYTES_MAX } from '../../../src/main/http/limits.js'
import { peerNumber } from '../../../src/main/local/live-view.js'
import { byLabel, type Metrics, parseMetrics, sumOf } from '../../../src/main/local/metrics-text.js'
import { nodeStats, processUse } from '../../../src/main/local/node-stats.js'
import { health, scrape } from '../../../src/main/local/scrape.js'
import { answerOf, healthOf } from '../../../src/main/metrics/health.js'
import { REFUSAL_REASONS_MAX } from '../../../src/main/metrics/limits.js'
import { WorkerMetrics } from '../../../src/main/metrics/metrics.js'
import type { MetricsSources } from '../../../src/main/metrics/sources.js'
import type { TcpAddress } from '../../../src/shared/config/address.js'
import { PROTOCOL_VERSION } from '../../../src/shared/constants.js'
import type { NarvalError } from '../../../src/shared/errors.js'
import { THREAD_NAMES } from '../../../src/shared/memory/counters.js'
import { CLIENT_REFUSALS, type PeerRefusal } from '../../../src/shared/refusals.js'
import { HEALTHY, LABEL_A, LABEL_B, PEER_A, PEER_B, sources } from '../../support/metrics-sources.js'

const create = (from: MetricsSources = sources()): WorkerMetrics =>
  new WorkerMetrics({ version: '1.2.3', peers: [PEER_A, PEER_B], sources: from })

const read = async (metrics: WorkerMetrics): Promise<Metrics> => parseMetrics(await metrics.text())

const servers: MetricsServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function serve(
  metrics: { readonly contentType: string; text(): Promise<string> } = create(),
  state = HEALTHY,
  options: Partial<MetricsServerOptions> = {},
  isAlive = () => true,
): Promise<TcpAddress> {
  const server = new MetricsServer(
    { host: '127.0.0.1', port: 0, ...options },
    { metrics, isAlive, health: () => answerOf(healthOf(state)) },
  )
  servers.push(server)
  await server.listen()
  return server.address
}

interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

function ask(address: TcpAddress, method: string, path: string, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === '' ? {} : { 'content-length': body.length }
    request({ ...address, method, path, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }))
    })
      .on('error', reject)
      .end(body)
  })
}

async function dial({ host, port }: TcpAddress): Promise<Socket> {
  const socket = connect(port, host)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** By a reset too, which `once` would reject with. */
function closed(socket: Socket): Promise<void> {
  socket.resume()
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
  })
}

describe('metrics', () => {
  it('what `local` shows of a node is in a scrape of it, over HTTP', async () => {
    const from = sources()
    const metrics = create(from)
    const address = await serve(metrics)
    const before = (await scrape(address))!
    metrics.ackLatency(PEER_A, 4)
    metrics.ackLatency(PEER_A, 8)
    from.counters.processor.set('storeBytes', 4096)
    const now = (await scrape(address))!
    const stats = nodeStats(before, now)
    expect(stats).toMatchObject({ round: undefined, batchesInFlight: 5, storeBytes: 4096 })
    expect([...stats.ackMsByPeer.keys()]).toEqual([LABEL_A])
    expect(stats.ackMsByPeer.get(LABEL_A)).toBeCloseTo(6)
    expect(peerNumber(LABEL_B, [PEER_A, PEER_B])).toBe('1')
    expect(stats.rssBytes).toBeGreaterThan(1e6)
    const use = processUse(now.metrics)
    expect(use.userS).toBeGreaterThan(0)
    expect(use.systemS).toBeGreaterThan(0)
    expect(use.rssBytesMax).toBeGreaterThanOrEqual(stats.rssBytes)
  })

  it('state is that of the time of the scrape', async () => {
    let free = 13
    const from = sources({ slotsFree: () => ({ own: free, inbound: 7, sync: 3 }) })
    const metrics = create(from)
    const first = await read(metrics)
    expect(byLabel(first, 'narval_slots_free', 'arena')).toEqual(
      new Map([
        ['own', 13],
        ['inbound', 7],
        ['sync', 3],
      ]),
    )
    expect(byLabel(first, 'narval_ring_depth', 'ring').get('own-work')).toBe(4)
    expect(byLabel(first, 'narval_ring_depth', 'ring').size).toBe(7)
    expect(byLabel(first, 'narval_peer_connected', 'peer')).toEqual(
      new Map([
        [LABEL_A, 1],
        [LABEL_B, 0],
      ]),
    )
    expect(byLabel(first, 'narval_peer_window', 'peer')).toEqual(
      new Map([
        [LABEL_A, 3],
        [LABEL_B, 4],
      ]),
    )
    expect(byLabel(first, 'narval_peer_queue', 'peer')).toEqual(
      new Map([
        [LABEL_A, 1],
        [LABEL_B, 6],
      ]),
    )
    expect(byLabel(first, 'narval_peer_in_flight', 'peer')).toEqual(
      new Map([
        [LABEL_A, 2],
        [LABEL_B, 0],
      ]),
    )
    expect(sumOf(first, 'narval_reply_batches')).toBe(6)
    expect(sumOf(first, 'narval_primary_queue')).toBe(9)
    expect(sumOf(first, 'narval_primary_reports_dropped_total')).toBe(8)
    expect(sumOf(first, 'narval_primary_connected')).toBe(1)
    expect(sumOf(first, 'narval_healthy')).toBe(1)
    expect(first.get('narval_build_info')).toEqual([
      { labels: { version: '1.2.3', protocol: String(PROTOCOL_VERSION), node: process.versions.node }, value: 1 },
    ])
    free = 0
    expect(byLabel(await read(metrics), 'narval_slots_free', 'arena').get('own')).toBe(0)
  })

  it('what the threads count is exposed in seconds and under the name of the thread', async () => {
    const from = sources()
    const { main, processor, 'batch-maker': batchMaker, 'quorum-waiter': quorumWaiter } = from.counters
    main.add('gcMajor', 2)
    main.add('gcMs', 1500)
    main.set('loopDelayP50Ms', 3)
    main.set('loopDelayP99Ms', 40)
    quorumWaiter.set('loopUtilisation', 0.25)
    batchMaker.add('batchesSealedBySize', 10)
    batchMaker.add('batchesSealedByDelay', 3)
    batchMaker.add('batchesSealedByIdleness', 2)
    batchMaker.add('pauses', 4)
    batchMaker.set('connections', 8)
    processor.add('commits', 20)
    processor.add('commitMs', 250)
    processor.set('storeFull', 1)
    const metrics = await read(create(from))
    expect(byLabel(metrics, 'narval_gc_major_total', 'thread').get('main')).toBe(2)
    expect(byLabel(metrics, 'narval_gc_seconds_total', 'thread').get('main')).toBe(1.5)
    expect(metrics.get('narval_event_loop_delay_seconds')).toContainEqual({
      labels: { thread: 'main', quantile: '0.99' },
      value: 0.04,
    })
    expect(byLabel(metrics, 'narval_thread_utilisation', 'thread').get('quorum-waiter')).toBe(0.25)
    expect([...byLabel(metrics, 'narval_thread_utilisation', 'thread').keys()]).toEqual(THREAD_NAMES)
    expect(byLabel(metrics, 'narval_batches_sealed_total', 'by')).toEqual(
      new Map([
        ['size', 10],
        ['delay', 3],
        ['idleness', 2],
      ]),
    )
    expect(sumOf(metrics, 'narval_client_pauses_total')).toBe(4)
    expect(sumOf(metrics, 'narval_client_connections')).toBe(8)
    expect(sumOf(metrics, 'narval_store_commit_seconds_sum')).toBe(0.25)
    expect(sumOf(metrics, 'narval_store_commit_seconds_count')).toBe(20)
    expect(sumOf(metrics, 'narval_store_full')).toBe(1)
  })

  it('a thread that blocks is not said to have an event loop without delay', async () => {
    const metrics = await read(create())
    for (const name of ['narval_event_loop_delay_seconds', 'narval_gc_major_total', 'narval_gc_seconds_total']) {
      expect(byLabel(metrics, name, 'thread').has('quorum-waiter')).toBe(false)
    }
  })

  it('events are counted for the peer they are of', async () => {
    const metrics = create()
    metrics.sealed(100, 52_000)
    metrics.peerBytes(PEER_A, 'out', 65_536)
    metrics.peerBytes(PEER_A, 'out', 100)
    metrics.peerBytes(PEER_B, 'in', 48)
    metrics.dropped(PEER_B)
    metrics.inbound(PEER_A, 'ok')
    metrics.inbound(PEER_A, 'store-full')
    for (let i = 0; i < 3; i += 1) metrics.reported('OurBatch')
    const text = await read(metrics)
    expect(sumOf(text, 'narval_transactions_sealed_total')).toBe(100)
    expect(sumOf(text, 'narval_batch_bytes_sealed_total')).toBe(52_000)
    expect(text.get('narval_peer_bytes_total')).toEqual([
      { labels: { peer: LABEL_A, direction: 'in' }, value: 0 },
      { labels: { peer: LABEL_A, direction: 'out' }, value: 65_636 },
      { labels: { peer: LABEL_B, direction: 'in' }, value: 48 },
      { labels: { peer: LABEL_B, direction: 'out' }, value: 0 },
    ])
    expect(byLabel(text, 'narval_batches_dropped_total', 'peer')).toEqual(
      new Map([
        [LABEL_A, 0],
        [LABEL_B, 1],
      ]),
    )
    expect(byLabel(text, 'narval_inbound_batches_total', 'status').get('store-full')).toBe(1)
    expect(byLabel(text, 'narval_inbound_batches_total', 'peer')).toEqual(
      new Map([
        [LABEL_A, 2],
        [LABEL_B, 0],
      ]),
    )
    expect(byLabel(text, 'narval_primary_reports_total', 'type').get('OurBatch')).toBe(3)
  })

  it('latencies go into buckets from 1 ms to 30 s, in seconds', async () => {
    const metrics = create()
    metrics.ackLatency(PEER_B, 0.5)
    metrics.ackLatency(PEER_B, 40_000)
    metrics.certified(1, 1, 70)
    const text = await read(metrics)
    const buckets = byLabel(
      new Map([['x', text.get('narval_ack_latency_seconds_bucket')!.filter(({ labels }) => labels.peer === LABEL_B)]]),
      'x',
      'le',
    )
    expect([...buckets.keys()].slice(0, 1)).toEqual(['0.001'])
    expect([buckets.get('0.001'), buckets.get('30'), buckets.get('+Inf')]).toEqual([1, 1, 2])
    expect(sumOf(text, 'narval_batch_certification_seconds_sum')).toBeCloseTo(0.07)
    // A peer that has not answered yet is there, with nothing.
    expect(byLabel(text, 'narval_ack_latency_seconds_count', 'peer')).toEqual(
      new Map([
        [LABEL_A, 0],
        [LABEL_B, 2],
      ]),
    )
  })

  it('refusals are counted by kind and reason, those of clients over both threads', async () => {
    const from = sources()
    const metrics = create(from)
    from.counters['batch-maker'].add('transaction-empty', 2)
    metrics.refused('client', 'transaction-empty')
    metrics.refused('ack', 'duplicate')
    metrics.refused('ack', 'duplicate')
    metrics.refused('peer', 'hello-not-in-committee')
    const samples = (await read(metrics)).get('narval_refusals_total')!
    const count = (kind: string, reason: string): number | undefined =>
      samples.find(({ labels }) => labels.kind === kind && labels.reason === reason)?.value
    expect(count('client', 'transaction-empty')).toBe(3)
    expect(count('ack', 'duplicate')).toBe(2)
    expect(count('peer', 'hello-not-in-committee')).toBe(1)
    for (const reason of CLIENT_REFUSALS) expect(count('client', reason)).toBeDefined()
  })

  it('reasons without end are not labels without end, and none is lost', async () => {
    const metrics = create()
    for (let index = 0; index < 10 * REFUSAL_REASONS_MAX; index++) {
      metrics.refused('peer', `hello-${index}` satisfies PeerRefusal)
    }
    const samples = (await read(metrics)).get('narval_refusals_total')!.filter(({ labels }) => labels.kind === 'peer')
    expect(samples).toHaveLength(REFUSAL_REASONS_MAX + 1)
    expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(10 * REFUSAL_REASONS_MAX)
  })

  it('the set of series is the same before and after traffic, refusals aside', async () => {
    const metrics = create()
    const series = async (): Promise<string[]> =>
      [...(await read(metrics))].flatMap(([name, samples]) =>
        name === 'narval_refusals_total' ? [] : samples.map(({ labels }) => `${name} ${JSON.stringify(labels)}`),
      )
    const before = await series()
    exercise(metrics)
    expect(await series()).toEqual(before)
    expect(new Set(before).size).toBe(before.length)
  })

  it('a counter never falls, and scraping changes none', async () => {
    const from = sources()
    const metrics = create(from)
    let previous = new Map<string, number>()
    for (let round = 0; round < 3; round++) {
      exercise(metrics)
      from.counters.processor.add('commits')
      const [text] = await Promise.all([metrics.text(), metrics.text()])
      const now = counterValues(text)
      expect(now.size).toBeGreaterThan(20)
      for (const [series, value] of previous) expect(now.get(series), series).toBeGreaterThanOrEqual(value)
      previous = now
    }
    expect(previous.get('narval_batches_certified_total ')).toBe(3)
    expect(previous.get('narval_store_commit_seconds_count ')).toBe(3)
    const again = counterValues(await metrics.text())
    for (const [series, value] of previous) {
      if (!series.startsWith('process_')) expect(again.get(series), series).toBe(value)
    }
  })

  it('two workers in one process do not share a registry', async () => {
    const [one, other] = [create(), create()]
    one.certified(5, 50, 1)
    expect(sumOf(await read(other), 'narval_transactions_certified_total')).toBe(0)
  })

  it('a name that is no peer of the committee is our own bug', () => {
    expect(() => create().peerBytes('somebody', 'in', 1)).toThrow(/somebody/)
  })
})

function exercise(metrics: WorkerMetrics): void {
  metrics.sealed(10, 5000)
  metrics.certified(10, 4960, 20)
  metrics.refused('peer', 'ack-early')
  metrics.peerBytes(PEER_A, 'in', 100)
  metrics.peerBytes(PEER_A, 'out', 100)
  metrics.ackLatency(PEER_A, 20)
  metrics.dropped(PEER_A)
  metrics.inbound(PEER_B, 'invalid')
  metrics.reported('OthersBatch')
}

/** The series of the families whose TYPE is counter. */
function counterValues(text: string): Map<string, number> {
  const names = new Set([...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name!))
  const values = new Map<string, number>()
  for (const [name, samples] of parseMetrics(text)) {
    if (!names.has(name)) continue
    for (const { labels, value } of samples) values.set(`${name} ${Object.values(labels).join()}`, value)
  }
  return values
}

describe('the server of metrics and health', () => {
  it('answers GET /metrics with the content type of the text format', async () => {
    const answer = await ask(await serve(), 'GET', '/metrics?debug=1')
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toContain('text/plain; version=0.0.4')
    expect(answer.body).toContain('# TYPE narval_batches_certified_total counter\n')
  })

  it('answers /livez with 503 only when the worker has failed, and /readyz as /health', async () => {
    const full = await serve(create(), { ...HEALTHY, storeFull: true })
    expect((await ask(full, 'GET', '/livez')).status).toBe(200)
    const ready = await ask(full, 'GET', '/readyz')
    expect(ready.status).toBe(503)
    expect(ready.body).toBe((await ask(full, 'GET', '/health')).body)
    const failed = await serve(create(), HEALTHY, {}, () => false)
    expect((await ask(failed, 'GET', '/livez')).status).toBe(503)
    expect((await ask(await serve(), 'GET', '/readyz')).status).toBe(200)
  })

  it('answers /health with 200 while the node is ok, and with 503 and the problems while it is not', async () => {
    const good = await ask(await serve(), 'GET', '/health')
    expect([good.status, good.headers['content-type']]).toEqual([200, 'application/json'])
    expect(JSON.parse(good.body)).toMatchObject({ ok: true, problems: [] })
    const full = await serve(create(), { ...HEALTHY, storeFull: true })
    const bad = await ask(full, 'GET', '/health')
    expect(bad.status).toBe(503)
    expect(JSON.parse(bad.body)).toMatchObject({ ok: false, store_full: true })
    expect(await health(full)).toMatchObject({ ok: false, text: expect.stringContaining('store_bytes_max') })
  })

  it('refuses other paths with 404, other methods with 405 and bodies with 413', async () => {
    const address = await serve()
    expect((await ask(address, 'GET', '/')).status).toBe(404)
    expect((await ask(address, 'GET', '/metrics/')).status).toBe(404)
    const posted = await ask(address, 'POST', '/health')
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET'])
    expect((await ask(address, 'GET', '/metrics', 'a body')).status).toBe(413)
  })

  it('answers one request for each connection, however many are sent at once', async () => {
    let renders = 0
    const text = async (): Promise<string> => {
      renders += 1
      return ''
    }
    const socket = await dial(await serve({ contentType: 'text/plain', text }))
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100))
    await closed(socket)
    expect(renders).toBe(1)
  })

  it('refuses a request whose headers are too large, and takes one below that', async () => {
    const address = await serve()
    for (const [bytes, answer] of [
      [METRICS_HEADER_BYTES_MAX - 200, /^HTTP\/1\.1 200 /],
      [METRICS_HEADER_BYTES_MAX, /^HTTP\/1\.1 431 /],
    ] as const) {
      const socket = await dial(address)
      const answered = once(socket, 'data')
      socket.write(`GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(bytes)}\r\n\r\n`)
      expect(String(await answered)).toMatch(answer)
      socket.destroy()
    }
  })

  it('closes a connection whose request does not come to its end', async () => {
    const socket = await dial(await serve(create(), HEALTHY, { requestTimeoutMs: 100 }))
    socket.write('GET /metrics HTTP/1.1\r\nHost:')
    await closed(socket)
  })

  it('drops a connection beyond the limit, and serves again when one is gone', async () => {
    const address = await serve()
    const idle: Socket[] = []
    for (let index = 0; index < METRICS_CONNECTIONS_MAX; index++) idle.push(await dial(address))
    const dropped = await dial(address)
    await closed(dropped)
    expect(idle.every((socket) => !socket.destroyed)).toBe(true)
    for (const socket of idle) socket.destroy()
    let status = 0
    while (status !== 200)
      status = await ask(address, 'GET', '/health').then(
        (answer) => answer.status,
        () => 0,
      )
  })

  it('a node whose state cannot be read answers 500 and goes on', async () => {
    const text = (): Promise<string> => Promise.reject(new Error('no such slot'))
    const address = await serve({ contentType: 'text/plain', text })
    expect(await ask(address, 'GET', '/metrics')).toMatchObject({
      status: 500,
      body: expect.stringContaining('no such slot'),
    })
    expect((await ask(address, 'GET', '/health')).status).toBe(200)
  })

  it('a port in use is refused with ERR_ADDRESS_IN_USE', async () => {
    const { port } = await serve()
    const error = await serve(create(), HEALTHY, { port }).catch((refused: NarvalError) => refused)
    expect(error).toMatchObject({ code: 'ERR_ADDRESS_IN_USE', message: expect.stringContaining(`127.0.0.1:${port}`) })
  })

  it('close ends the connections that are open', async () => {
    const socket = await dial(await serve())
    socket.write('GET /metrics HTTP/1.1\r\n')
    await Promise.all([closed(socket), servers.at(-1)!.close()])
  })
})

describe('the address of metrics', () => {
  it('is an ip:port, or a port alone on loopback', () => {
    expect(parseMetricsAddress('10.0.0.1:9100')).toEqual({ host: '10.0.0.1', port: 9100 })
    expect(parseMetricsAddress('[::1]:9100')).toEqual({ host: '::1', port: 9100 })
    expect(parseMetricsAddress(':9100')).toEqual({ host: '127.0.0.1', port: 9100 })
  })

  it('is refused in any other form', () => {
    for (const text of ['9100', 'local host:9100', ':', ':0', ':65536', '::1:9100', '']) {
      expect(parseMetricsAddress(text), text).toBeUndefined()
    }
  })
})
