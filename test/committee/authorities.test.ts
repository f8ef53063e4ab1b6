/** Four authorities as a user runs them: processes, clients over TCP, kill -9, and logs that are compared record by record. */
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { TestClient } from '../support/client.js'
import { type AuthorityProcess, BOOT_MS } from '../support/proof/authority-process.js'
import { committeeOfFour } from '../support/proof/committee.js'
import { numbersOf, recordsOf } from '../support/proof/order-reader.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
const LOOK_MS = 200

/** The numbers in its order, or none while a batch of it is still on its way. */
function numbersIn(node: AuthorityProcess): number[] {
  try {
    return numbersOf(node)
  } catch {
    return []
  }
}

test('four authorities agree record by record, and one that was killed catches up', async () => {
  const nodes = await committeeOfFour(temporaryDirectory(), NODE_FILE)
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.end('SIGKILL')))
  })
  await Promise.all(nodes.map((node) => node.start()))
  const clients = await Promise.all(nodes.map((node) => TestClient.connect(node.transactionsPort)))
  const sendAll = async (of: readonly TestClient[]): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) for (const client of of) await client.send(25, 200)
  }
  const ordered = (node: AuthorityProcess, count: number): Promise<void> =>
    until(
      `${count} transactions are in its order`,
      async () => {
        // A look reads every byte, which the nodes have to wait for.
        await sleep(LOOK_MS)
        return numbersIn(node).length >= count
      },
      BOOT_MS,
    )
  await sendAll(clients)
  for (const node of nodes) await ordered(node, 2_000)

  const following = spawn(process.execPath, [
    NODE_FILE,
    'log',
    '--store',
    nodes[1]!.primaryStore,
    '--follow',
    '--empty',
    '--json',
  ])
  onTestFinished(() => void following.kill())
  let followed = ''
  following.stdout.setEncoding('utf8').on('data', (text: string) => {
    followed += text
  })

  await nodes[0]!.end('SIGKILL')
  await sendAll(clients.slice(1))
  await ordered(nodes[1]!, 3_500)
  await nodes[0]!.start()
  const late = await TestClient.connect(nodes[0]!.transactionsPort)
  await late.send(100, 200)
  for (const node of nodes) await ordered(node, 3_600)

  const logs = nodes.map((node) => recordsOf(node))
  const length = Math.min(...logs.map((log) => log.length))
  expect(length).toBeGreaterThan(5)
  for (const log of logs) expect(log.slice(0, length)).toEqual(logs[0]!.slice(0, length))
  const sent = [...clients, late].flatMap((client) => client.sent)
  for (const node of nodes) {
    expect(numbersOf(node).sort((a, b) => a - b)).toEqual([...sent].sort((a, b) => a - b))
  }
  await until('the log is followed', () => followed.split('\n').length > length)
  const lines = followed
    .split('\n')
    .slice(0, length)
    .map((line) => JSON.parse(line) as { digest: string })
  expect(lines.map(({ digest }) => digest)).toEqual(logs[1]!.slice(0, length).map(({ digest }) => digest))
  for (const client of [...clients, late]) client.destroy()
  await Promise.all(nodes.map((node) => node.end('SIGTERM')))
  for (const { log } of nodes) expect(log).toMatch(/Closed\n$/)
}, 300_000)
