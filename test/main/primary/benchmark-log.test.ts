/**
 * The reference's parser of logs (benchmark/logs.py), its expressions word for word, over the log of a real authority. Its
 * primary and its worker share a process, so one file has the lines of both: as it is, or split by what logged them.
 */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { WorkerLink } from '../../../src/main/primary/worker-link.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { generateKeys } from '../../../src/shared/config/keys.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { writeFreshMarker } from '../../../src/shared/store/primary/fresh-marker.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { fromDist } from '../../support/threads/main-side.js'
import { until } from '../../support/until.js'

const CONFIGS = {
  header_size: /Header size .* (\d+)/,
  max_header_delay: /Max header delay .* (\d+)/,
  gc_depth: /Garbage collection depth .* (\d+)/,
  sync_retry_delay: /Sync retry delay .* (\d+)/,
  sync_retry_nodes: /Sync retry nodes .* (\d+)/,
  batch_size: /Batch size .* (\d+)/,
  max_batch_delay: /Max batch delay .* (\d+)/,
}

/** `_merge_results`: the earliest time of each digest. */
function earliest(log: string, expression: RegExp): Map<string, number> {
  const merged = new Map<string, number>()
  for (const [, time, digest] of log.matchAll(expression)) {
    const ms = Date.parse(time!)
    expect(ms).not.toBeNaN()
    if (!(merged.get(digest!)! <= ms)) merged.set(digest!, ms)
  }
  return merged
}

function parsePrimary(log: string) {
  expect(log).not.toMatch(/(?:panicked|Error)/)
  return {
    proposals: earliest(log, /\[(.*Z) .* Created B\d+\([^ ]+\) -> ([^ ]+=)/g),
    commits: earliest(log, /\[(.*Z) .* Committed B\d+\([^ ]+\) -> ([^ ]+=)/g),
    configs: Object.fromEntries(Object.entries(CONFIGS).map(([key, found]) => [key, Number(found.exec(log)![1])])),
    ip: /booted on (\d+.\d+.\d+.\d+)/.exec(log)![1],
  }
}

function parseWorker(log: string) {
  expect(log).not.toMatch(/(?:panic|Error)/)
  const pairs = (expression: RegExp) => [...log.matchAll(expression)].map(([, a, b]) => [a!, b!] as const)
  return {
    sizes: new Map(pairs(/Batch ([^ ]+) contains (\d+) B/g).map(([digest, bytes]) => [digest, Number(bytes)])),
    samples: new Map(pairs(/Batch ([^ ]+) contains sample tx (\d+)/g).map(([digest, tx]) => [Number(tx), digest])),
    ip: /booted on (\d+.\d+.\d+.\d+)/.exec(log)![1],
  }
}

/** As the reference's client makes them. */
function sampleTransaction(counter: number): Uint8Array {
  const transaction = new Uint8Array(100)
  new DataView(transaction.buffer).setBigUint64(1, BigInt(counter))
  return transaction
}

test("the reference's parser reads the log of an authority, whole or split", async () => {
  const { createLogger, startWorker } = await fromDist<typeof import('../../../src/index.js')>('index.js')
  const { PrimaryNode } =
    await fromDist<typeof import('../../../src/main/primary/primary-node.js')>('main/primary/primary-node.js')
  const { WorkerLink: Link } =
    await fromDist<typeof import('../../../src/main/primary/worker-link.js')>('main/primary/worker-link.js')
  const lines: string[] = []
  const out = { write: (line: string) => void lines.push(line) }
  const keys = generateKeys()
  const committee = parseCommittee(localCommittee([keys.name], 1, await freePorts(5)), 'test')
  const directory = temporaryDirectory()
  writeFreshMarker(directory, keys.name)
  const parameters = { ...defaultParameters(), maxBatchDelayMs: 5, headerBytes: 1234 }
  const shared = { keys, committee, parameters, bind: '127.0.0.1', benchmark: true }
  const primary = new PrimaryNode(
    {
      ...shared,
      store: { directory },
      rule: 'shoal',
      gcDepth: 42,
      maxHeaderDelayMs: 77,
      log: createLogger('narval::primary', 'info', out),
    },
    { onRequest: (request) => link.onRequest(request), onNotice: () => {} },
  )
  let committed = 0
  const link: WorkerLink = new Link(
    { committee, ownIndex: 0, workerId: 0 },
    {
      client: primary.client,
      read: (digest) => worker.read(digest),
      send: () => {},
      onCommitted: (_, digests) => {
        committed += digests.length
      },
    },
  )
  await primary.start()
  const worker = await startWorker({
    ...shared,
    store: join(temporaryDirectory(), 'store'),
    log: createLogger('narval::worker', 'info', out),
    primary: link.onMessage,
  })
  onTestFinished(async () => {
    await worker.close()
    await primary.close()
  })
  for (let counter = 0; counter < 3; counter += 1) {
    await worker.submit(sampleTransaction(counter))
    await until('it is committed', () => committed > counter)
  }

  const whole = lines.join('')
  const { commits, configs, ip, proposals } = parsePrimary(whole)
  expect(configs).toEqual({
    header_size: 1234,
    max_header_delay: 77,
    gc_depth: 42,
    sync_retry_delay: 5000,
    sync_retry_nodes: 3,
    batch_size: 500_000,
    max_batch_delay: 5,
  })
  expect(ip).toBe('127.0.0.1')
  expect(commits.size).toBe(3)
  for (const [digest, ms] of commits) expect(ms).toBeGreaterThanOrEqual(proposals.get(digest)!)
  const { samples, sizes } = parseWorker(whole)
  expect([...samples.keys()]).toEqual([0, 1, 2])
  expect(new Set(samples.values())).toEqual(new Set(commits.keys()))
  for (const digest of commits.keys()) expect(sizes.get(digest)).toBe(100)

  const ofModule = (module: string): string => lines.filter((line) => line.includes(` ${module}] `)).join('')
  expect(parsePrimary(ofModule('narval::primary'))).toEqual({ commits, configs, ip, proposals })
  expect(parseWorker(ofModule('narval::worker'))).toEqual({ samples, sizes, ip })
})
