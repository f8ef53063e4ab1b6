/** Primaries as they are: threads, stores, and libp2p over loopback. */
import { afterEach, expect, test } from 'vitest'
import type { PrimaryNode, PrimaryNodeOptions } from '../../../src/main/primary/primary-node.js'
import { type Committee, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { followBatches } from '../../../src/shared/store/primary/follow-commits.js'
import { writeFreshMarker } from '../../../src/shared/store/primary/fresh-marker.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { fromDist } from '../../support/threads/main-side.js'
import { batchOf } from '../../support/threads/primary-thread.js'
import { until } from '../../support/until.js'

const ALL_KEYS = [1, 2, 3, 4]
  .map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
const AUTHORITIES = [0, 1, 2, 3]

const open = new Set<PrimaryNode>()
afterEach(async () => {
  await Promise.all([...open].map((node) => node.close().catch(() => {})))
  open.clear()
})

async function committeeOfFour(): Promise<Committee> {
  const names = ALL_KEYS.map(({ name }) => name)
  return parseCommittee(localCommittee(names, 1, await freePorts(20)), 'test')
}

interface Started {
  readonly node: PrimaryNode
  readonly lines: string[]
  readonly committed: number[]
}

async function start(
  committee: Committee,
  authority: number,
  directory: string,
  more: Partial<PrimaryNodeOptions> = {},
): Promise<Started> {
  const { PrimaryNode: Node } =
    await fromDist<typeof import('../../../src/main/primary/primary-node.js')>('main/primary/primary-node.js')
  const lines: string[] = []
  const committed: number[] = []
  const say = (level: string) => (text: string) => void lines.push(`${level} ${text}`)
  const node = new Node(
    {
      keys: ALL_KEYS[authority]!,
      committee,
      store: { directory },
      rule: 'shoal',
      gcDepth: 50,
      maxHeaderDelayMs: 100,
      bind: '127.0.0.1',
      log: { error: say('error'), warn: say('warn'), info: say('info'), debug() {}, trace() {} },
      ...more,
    },
    {
      onRequest: (request) => {
        if (request.type === 'committed') committed.push(...request.commits.map(({ index }) => index))
      },
      onNotice: () => {},
    },
  )
  open.add(node)
  await node.start()
  return { node, lines, committed }
}

function directoryOf(authority: number): string {
  const directory = temporaryDirectory()
  writeFreshMarker(directory, ALL_KEYS[authority]!.name)
  return directory
}

async function firstBatches(directory: string, count: number, { head }: PrimaryNode): Promise<string> {
  const reader = new CommitLogReader(directory)
  const found: string[] = []
  try {
    for await (const { batch, commit } of followBatches(reader, { commit: 0, position: -1 }, { head })) {
      found.push(`${commit.index} ${commit.timestamp} ${batch.author} ${batch.sequence}`)
      if (found.length === count) break
    }
  } finally {
    reader.close()
  }
  return found.join('\n')
}

test('four primaries agree on one order over libp2p, and one that was away catches up', async () => {
  const committee = await committeeOfFour()
  const directories = AUTHORITIES.map(directoryOf)
  const started: Started[] = []
  for (const authority of AUTHORITIES) started.push(await start(committee, authority, directories[authority]!))
  const tell = async (author: number, sequence: number, to: readonly number[]): Promise<void> => {
    const batch = batchOf(author, sequence)
    const told = to.map((at) => started[at]!.node.client.batch(at === author ? 'own-batch' : 'others-batch', batch))
    await Promise.all(told)
  }
  const logs = (count: number, of = AUTHORITIES): Promise<string[]> =>
    Promise.all(of.map((at) => firstBatches(directories[at]!, count, started[at]!.node)))
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    for (const author of AUTHORITIES) await tell(author, sequence, AUTHORITIES)
  }
  const before = await logs(20)
  expect(new Set(before).size).toBe(1)

  await started[0]!.node.close()
  open.delete(started[0]!.node)
  for (const author of [1, 2, 3]) await tell(author, 6, [1, 2, 3])
  const without = await logs(23, [1, 2, 3])
  expect(new Set(without).size).toBe(1)
  started[0] = await start(committee, 0, directories[0]!)
  const [after] = await logs(23, [0])
  expect(after).toBe(without[0])
  expect(after!.startsWith(before[0]!)).toBe(true)
  expect(started.flatMap(({ lines }) => lines.filter((line) => line.startsWith('error')))).toEqual([])
})

test('a primary with another rule is refused by name, and the one it called goes on', async () => {
  const committee = await committeeOfFour()
  const [first, second] = [
    await start(committee, 0, directoryOf(0)),
    await start(committee, 1, directoryOf(1), { rule: 'tusk' }),
  ]
  await until('they have refused each other', () =>
    [first, second].some(({ lines }) =>
      lines.some((line) => /hello-wrong-committee.*the rule and gc_depth/.test(line)),
    ),
  )
  expect(first.node.peers.peers.every(({ connections }) => connections.length === 0)).toBe(true)
})

test('a thread that dies ends the primary, and its port is free again', async () => {
  const committee = await committeeOfFour()
  const directory = directoryOf(0)
  const { node } = await start(committee, 0, directory)
  const { running } = (node as unknown as { threads: { running: Map<string, { terminate(): Promise<void> }> } }).threads
  await running.get('primary')!.terminate()
  await expect(node.stopped).rejects.toMatchObject({ code: 'ERR_THREAD_DIED' })
  await expect(node.client.batch('own-batch', batchOf(0, 1))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await start(committee, 0, directory)
})
