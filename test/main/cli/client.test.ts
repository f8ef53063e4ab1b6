/**
 * What `client` says of its transactions at its end, beside a real worker.
 *
 * Runs in pairs: one node at a time.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { NODE_FILE, type TestNode, testCommittee } from '../../support/committee.js'

/** Sends 200 transactions. */
async function load({ metricsPort, transactionsPort }: TestNode): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(
    process.execPath,
    [
      ...[NODE_FILE, 'client', `localhost:${transactionsPort}`, '--size', '64', '--rate', '200', '--duration', '1'],
      ...['--metrics', `localhost:${metricsPort}`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

it('all of them are read and certified: exit code 0', async () => {
  const committee = await testCommittee({ nodes: 1 })
  await committee.start()
  const { code, stderr } = await load(committee.node(0))
  expect(stderr).toContain('] Sent 200 transactions\n')
  expect(stderr).toContain('] The worker has read all of them\n')
  expect(stderr).toMatch(/the worker has sealed 200 transactions of all of its clients, and certified 200\n$/)
  expect(code).toBe(0)
})

it('without a quorum the worker seals some, and reads no more: it says so, and exit code 1', async () => {
  const committee = await testCommittee()
  await committee.start(0)
  const { code, stderr } = await load(committee.node(0))
  expect(stderr).toMatch(/WARN .*The worker has not read all of them: it takes no more now/)
  expect(stderr).toMatch(/WARN .* the worker has sealed \d+ transactions of all of its clients, and certified 0\n$/)
  expect(code).toBe(1)
})

it('a client that is refused a place, or whose worker dies, says after how many, and what the worker did last', async () => {
  const committee = await testCommittee({ nodes: 1, parameters: { clientConnectionsMax: 1 } })
  await committee.start()
  const node = committee.node(0)
  const holder = await node.client()
  await holder.send(1, 100)
  const refused = await load(node)
  expect(refused.stderr).toMatch(/\nnarval: ERR_DISCONNECTED: .* went away after \d+ transactions were sent: .*\n$/)
  expect(refused.stderr).toMatch(/the worker has sealed [01] transactions .* certified [01]\n/)
  expect(refused.code).toBe(1)
  await holder.end()

  const loading = load(node)
  const before = await node.metric('narval_transactions_sealed_total')
  while ((await node.metric('narval_transactions_sealed_total')) === before);
  await node.kill()
  const { code, stderr } = await loading
  expect(stderr).toMatch(/The worker answers no more; when it did last, it had sealed \d+/)
  expect(stderr).toMatch(/\nnarval: ERR_DISCONNECTED: .* went away after \d+ transactions were sent: .*\n$/)
  expect(code).toBe(1)
})
