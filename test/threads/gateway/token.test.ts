/** The gateway's token, over sockets. */
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GatewayContext } from '../../../src/threads/gateway/context.js'
import { createServer } from '../../../src/threads/gateway/server.js'

const TOKEN = 'the-token-of-this-gateway'
// What is asked of the node it answers; whom it answers is what is looked at.
const context = {
  authority: { committee: [], transactionBytesMax: 1 },
  counters: { add: () => {}, set: () => {} },
  main: { ask: async () => ({ isAlive: true, ok: true, json: '{}', contentType: 'text/plain', text: 'metrics' }) },
} as unknown as GatewayContext
const app = createServer({ token: TOKEN, origins: ['https://app.example.org'] }, context, (error) => {
  throw error
})
let base: string

beforeAll(async () => {
  await app.listen({ host: '127.0.0.1', port: 0 })
  base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
})
afterAll(() => app.close())

const statusOf = async (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> => {
  const response = await fetch(`${base}${path}`, { headers, method })
  await response.arrayBuffer()
  return response.status
}

test('nothing is answered without it, or with another one', async () => {
  for (const path of ['/metrics', '/v1/openapi.json', '/v1/commits', '/v1/nothing', '/']) {
    for (const authorization of ['', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`]) {
      expect([path, await statusOf(path, { authorization })]).toEqual([path, 401])
    }
  }
  expect(await statusOf('/v1/transactions', {}, 'POST')).toBe(401)
  const refused = await fetch(`${base}/metrics`)
  expect([refused.headers.get('www-authenticate'), await refused.json()]).toMatchObject([
    'Bearer',
    { code: 'ERR_UNAUTHORIZED', status: 401 },
  ])
})

test('with it everything is, and probes and what browsers ask before are answered without', async () => {
  for (const path of ['/metrics', '/v1/openapi.json']) {
    expect(await statusOf(path, { authorization: `Bearer ${TOKEN}` })).toBe(200)
  }
  for (const path of ['/livez', '/readyz']) expect(await statusOf(path)).toBe(200)
  expect(await statusOf('/v1/status', { origin: 'https://app.example.org' }, 'OPTIONS')).toBe(204)
})
