/**
 * The reference's parser of logs (benchmark/logs.py), its expressions word for word, over the log of a real authority. Its
 * primary and its worker share a process, so one file has the lines of both: as it is, or split by what logged them.
 */
import { expect, test } from 'vitest'
import { narval, newMembers, read, start } from '../../support/authority-under-test.js'
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

test("the reference's parser reads the log of an authority, whole or split by its parts", async () => {
  const [member] = await newMembers(1, 2)
  const lines: string[] = []
  const log = narval.createLogger('narval::authority', 'info', { write: (line) => void lines.push(line) })
  const parameters = { maxBatchDelayMs: 5, headerBytes: 1234, gcDepthRounds: 42, maxHeaderDelayMs: 77 }
  const authority = await start(member!, { benchmark: true, log, parameters })
  for (let counter = 0; counter < 6; counter += 1) await authority.submit(sampleTransaction(counter))
  const { commits: read6 } = await read(authority, 6)
  const ordered: string[] = []
  for (const commit of read6) {
    for await (const { digest } of commit.batches()) ordered.push(Buffer.from(digest).toString('base64'))
  }
  // A reader of the log may be faster than main, which writes the lines.
  await until('the lines are there', () =>
    lines.some((line) => line.includes(`-> ${ordered.at(-1)}`) && / Committed /.test(line)),
  )
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
  expect([...commits.keys()]).toEqual(ordered)
  for (const [digest, ms] of commits) expect(ms).toBeGreaterThanOrEqual(proposals.get(digest)!)
  const { samples, sizes } = parseWorker(whole)
  expect([...samples.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5])
  expect(new Set(samples.values())).toEqual(new Set(ordered))
  expect([...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)).toBe(600)

  const partOf = (label: string): string => lines.filter((line) => line.includes(`] ${label}: `)).join('')
  expect(parsePrimary(partOf('primary'))).toEqual({ commits, configs, ip, proposals })
  const workers = [0, 1].map((id) => parseWorker(partOf(`worker ${id}`)))
  expect(workers.map((worker) => worker.ip)).toEqual([ip, ip])
  expect(new Map(workers.flatMap((worker) => [...worker.sizes]))).toEqual(sizes)
  expect(workers.every((worker) => worker.sizes.size > 0)).toBe(true)
})
