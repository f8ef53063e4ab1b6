/** The OpenAPI document against the routes, both ways: one that either lacks is found. */
import { expect, test } from 'vitest'
import type { GatewayContext } from '../../../src/threads/gateway/context.js'
import { OPENAPI } from '../../../src/threads/gateway/openapi.js'
import { createServer } from '../../../src/threads/gateway/server.js'

/** Reads fastify's drawing of its routes: each line has a part of a path, behind four columns for each part before it. */
function routesOf(drawing: string): string[] {
  const above: string[] = []
  return drawing
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [, indent, part, methods] = /^([│ ]*)[├└]── (\S+) \((.*)\)$/.exec(line)!
      const depth = indent!.length / 4
      above.splice(depth, above.length, part!)
      const path = above.join('')
      return methods!.split(', ').flatMap((method) => (method === 'HEAD' ? [] : [`${method} ${path}`]))
    })
}

test('has each route, and each route is there', async () => {
  // What the routes ask of it they ask when somebody calls.
  const context = { authority: { committee: [], transactionBytesMax: 1 } } as unknown as GatewayContext
  const app = createServer({ token: undefined, origins: [] }, context, () => {})
  await app.ready()
  const routes = routesOf(app.printRoutes({ commonPrefix: false }))
  await app.close()
  const described = Object.entries(OPENAPI.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
  )
  expect(routes.sort()).toEqual(described.sort())
})
