/** What watches the node: `/livez`, `/readyz` and `/metrics`, as at `--metrics`, and what there is to ask for. */
import type { FastifyInstance } from 'fastify'
import type { GatewayContext } from '../context.js'
import { OPENAPI } from '../openapi.js'

export function addWatch(app: FastifyInstance, { main }: GatewayContext): void {
  app.addHook('onSend', async (_, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  app.get('/livez', async (_, reply) => {
    // A node whose main thread does not answer is not alive.
    const { isAlive } = await main.ask({ type: 'health' })
    return reply
      .code(isAlive ? 200 : 503)
      .type('text/plain')
      .send(isAlive ? 'ok\n' : 'It has failed.\n')
  })
  app.get('/readyz', async (_, reply) => {
    const { json, ok } = await main.ask({ type: 'health' })
    return reply
      .code(ok ? 200 : 503)
      .type('application/json')
      .send(json)
  })
  app.get('/metrics', async (_, reply) => {
    const { contentType, text } = await main.ask({ type: 'metrics' })
    return reply.header('content-type', contentType).send(text)
  })
  app.get('/v1/openapi.json', (_, reply) => reply.send(OPENAPI))
}
