/**
 * Four authorities on machines of their own, whose committee file has keys and not one address of a node: they find each
 * other through a bootstrap node on a fifth machine, and order what a client sends.
 *
 * Runs in pairs: a committee that waits for its dials.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { generateKeys, writeKeys } from '../../src/shared/config/keys.js'
import { encodeBase64 } from '../../src/shared/crypto/public-key.js'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { primaryDirectory } from '../../src/shared/store/authority-directories.js'
import { CommitLogReader } from '../../src/shared/store/primary/commit-log-reader.js'
import { transactions } from '../../src/shared/wire/batch.js'
import { Namespaces, namespaceProblem } from '../support/namespaces.js'
import { readStore } from '../support/stores.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname
const NODE = [process.execPath, ...v8FlagsFor(process.versions.node), NODE_FILE]
const AUTHORITIES = [0, 1, 2, 3]
const BOOTSTRAP = 4
const TRANSACTIONS = '127.0.0.1:4003'
const problem = namespaceProblem()
if (problem !== undefined) process.stderr.write(`no network namespaces here: ${problem}\n`)

interface Running {
  readonly log: () => string
}

function start(command: readonly string[], logFile: string): Running {
  const log = openSync(logFile, 'a')
  const [program, ...args] = command
  const child: ChildProcess = spawn(program!, args, { stdio: ['ignore', log, log] })
  closeSync(log)
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
  })
  return { log: () => readFileSync(logFile, 'utf8') }
}

test.skipIf(problem !== undefined)(
  'a committee whose file has keys and no addresses finds itself through one bootstrap node, and orders',
  { timeout: 150_000 },
  async () => {
    const directory = temporaryDirectory()
    const path = (name: string): string => join(directory, name)
    const machines = new Namespaces(BOOTSTRAP + 1)
    onTestFinished(() => machines.close())
    const keys = AUTHORITIES.map(() => generateKeys())
    const entry = (worker: object): object => ({ stake: 1, primary: {}, workers: { 0: worker } })
    const bare = keys.map(({ name }): [string, object] => [name, entry({})])
    writeFileSync(path('committee.json'), JSON.stringify({ authorities: Object.fromEntries(bare) }))
    for (const index of AUTHORITIES) {
      writeKeys(path(`keys-${index}.json`), keys[index]!)
      const fresh = ['fresh', '--keys', path(`keys-${index}.json`), '--store', path(`store-${index}`)]
      expect(spawnSync(NODE[0]!, [...NODE.slice(1), ...fresh], { encoding: 'utf8' }).stderr).toBe('')
      // Its own copy says where it takes transactions, which is nobody else's concern.
      const own = bare.map(([name, file]) => [
        name,
        name === keys[index]!.name ? entry({ transactions: TRANSACTIONS }) : file,
      ])
      writeFileSync(path(`committee-${index}.json`), JSON.stringify({ authorities: Object.fromEntries(own) }))
    }

    const listen = `${machines.address(BOOTSTRAP)}:4100`
    const bootstrap = start(
      [...machines.within(BOOTSTRAP), ...NODE, 'bootstrap', '--committee', path('committee.json'), '--listen', listen],
      path('log-bootstrap'),
    )
    await until(
      () => `the bootstrap node listens: ${bootstrap.log()}`,
      () => bootstrap.log().includes('--bootstrap /ip4/'),
    )
    const [, address] = /--bootstrap (\S+)/.exec(bootstrap.log())!

    const beganMs = performance.now()
    const nodes = AUTHORITIES.map((index) =>
      start(
        [
          ...[...machines.within(index), ...NODE, 'run', '--keys', path(`keys-${index}.json`)],
          ...['--committee', path(`committee-${index}.json`), '--store', path(`store-${index}`)],
          ...['--kad', '--bootstrap', address!, 'authority'],
        ],
        path(`log-${index}`),
      ),
    )
    const connected = (part: string): boolean =>
      nodes.every((node) => node.log().match(new RegExp(`${part}: Connected to`, 'g'))?.length === 3)
    const logs = (): string => nodes.map((node) => node.log()).join('\n')
    await until(
      () => `all are connected: ${logs()}`,
      () => connected('primary') && connected('worker 0'),
      90_000,
    )
    process.stderr.write(`four have found each other in ${Math.round(performance.now() - beganMs)} ms\n`)

    const client = ['client', TRANSACTIONS, '--size', '100', '--rate', '100', '--duration', '2']
    const sent = spawnSync('ip', [...machines.within(0).slice(1), ...NODE, ...client], { encoding: 'utf8' })
    expect([sent.status, sent.stderr.includes('ERR_')]).toEqual([0, false])
    const ordered = (index: number): ReadonlySet<string> => {
      const reader = new CommitLogReader(primaryDirectory(path(`store-${index}`)))
      const digests = new Set<string>()
      for (const commit of reader.commits(0)) {
        for (const { digest } of commit.batches()) digests.add(encodeBase64(digest))
      }
      reader.close()
      return digests
    }
    const own = async () =>
      [...(await readStore(join(path('store-0'), 'worker-0')))].filter(([, { author }]) => author === keys[0]!.name)
    // The last of them are sealed after the client has gone.
    let stored = await own()
    const count = (): number => stored.flatMap(([, { bytes }]) => [...transactions(bytes)]).length
    await until(
      () => `all that was sent is stored, and not ${count()}: ${logs()}`,
      async () => {
        stored = await own()
        return count() >= 200
      },
    )
    expect(count()).toBe(200)
    const certified = stored.map(([digest]) => digest)
    for (const index of AUTHORITIES) {
      await until(
        () => `authority ${index} orders all ${certified.length} batches, and not ${ordered(index).size}: ${logs()}`,
        () => {
          const digests = ordered(index)
          return certified.every((digest) => digests.has(digest))
        },
      )
    }
  },
)
