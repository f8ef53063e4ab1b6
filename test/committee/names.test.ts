/**
 * A committee whose file has names alone. The processes ask the C library, whose answers come from a file of the test, so
 * a worker can come back at another address, as a container does.
 *
 * Runs in pairs: a committee that waits for names.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CommitteeFile } from '../../src/shared/config/committee-file.js'
import { type TestCommittee, type TestNode, testCommittee, until } from '../support/committee.js'
import { environmentOf } from '../support/preload.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Gives every address of the committee's file a name: `worker-0.test`, `primary-0.test`, … */
function nameAll({ directory, nodes }: TestCommittee): void {
  const path = join(directory, '.committee.json')
  const { authorities } = JSON.parse(readFileSync(path, 'utf8')) as CommitteeFile
  const named = nodes.map(({ index, name }) => {
    const entry = authorities[name]!
    const rename = (part: object, host: string): object =>
      JSON.parse(JSON.stringify(part).replaceAll('127.0.0.1', `${host}-${index}.test`))
    return [name, { ...entry, primary: rename(entry.primary, 'primary'), workers: rename(entry.workers, 'worker') }]
  })
  writeFileSync(path, JSON.stringify({ authorities: Object.fromEntries(named) }))
}

async function certifies(nodes: readonly TestNode[]): Promise<void> {
  for (const node of nodes) {
    const before = node.primary.own.size
    const client = await node.client()
    await client.send(1, 100)
    await until(`node ${node.index} certifies`, () => node.primary.own.size > before)
    await client.end()
  }
}

test('a worker that comes back at another address behind its name is found, and a resolver that hangs stops nobody', async (test) => {
  const hosts = join(temporaryDirectory(), 'hosts')
  const environment = environmentOf({ hosts })
  if ('reason' in environment) return test.skip(environment.reason)
  const committee = await testCommittee()
  nameAll(committee)
  const know = (worker3: string, others = '127.0.0.1'): void => {
    const lines = [0, 1, 2, 3].flatMap((index) => [
      `primary-${index}.test ${others}`,
      `worker-${index}.test ${index === 3 ? worker3 : others}`,
    ])
    writeFileSync(hosts, `${lines.join('\n')}\n`)
  }
  for (const node of committee.nodes) node.environment = environment as Record<string, string>
  const [moving, staying] = [committee.node(3), committee.nodes.slice(0, 3)]

  // It has no name yet: the others say so, and start.
  know('ENOTFOUND')
  await committee.start(0, 1, 2)
  for (const node of staying) {
    await until('it says that the name does not resolve', () =>
      node.log.includes('WARN  narval::worker] The name worker-3.test does not resolve (ENOTFOUND)'),
    )
  }
  know('127.0.0.3')
  moving.bind = '127.0.0.3'
  await moving.start()
  await committee.connected()

  // While it is away, its name is asked about at each attempt to dial it.
  await moving.kill()
  know('127.0.0.33')
  await until('the move is seen', () => staying.every(({ log }) => log.includes('worker-3.test is now 127.0.0.33')))
  moving.bind = '127.0.0.33'
  await moving.start()
  await committee.connected()

  // Nobody has an answer any more. The one that starts anew knows no address at all, and is dialled by the others.
  know('hang', 'hang')
  await moving.kill()
  await moving.start()
  await committee.connected()
  await certifies(staying)
  // The C library cannot be interrupted: a process ends when it has let go of its threads.
  know('127.0.0.33')
  for (const node of committee.nodes) expect(await node.stop()).toEqual({ code: 0, signal: null })
})
