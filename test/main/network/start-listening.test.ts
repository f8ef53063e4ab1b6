import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { createLibp2pNode } from '../../../src/main/network/libp2p-node.js'
import { startListening } from '../../../src/main/network/start-listening.js'

async function problemOf(host: string, port: number): Promise<unknown> {
  const listen = { host, port }
  const options = { networkKeySeed: new Uint8Array(32).fill(1), listen, authorities: 1, admits: () => true }
  const node = await createLibp2pNode({ ...options })
  return startListening(node, 'others', listen).catch((error: unknown) => error)
}

test('a node that cannot listen says what to do, whatever the system says', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  expect(await problemOf('127.0.0.1', port)).toMatchObject({
    code: 'ERR_ADDRESS_IN_USE',
    message: expect.stringContaining('stop the process that listens there'),
  })
  server.close()
  // An address for documentation: no machine has it.
  expect(await problemOf('192.0.2.1', 0)).toMatchObject({
    code: 'ERR_ADDRESS_UNAVAILABLE',
    message:
      'cannot listen on 192.0.2.1:0 for others: it is no address of this machine; bind one that is, or 0.0.0.0 for all',
  })
})
