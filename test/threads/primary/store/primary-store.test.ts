import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { checkStore } from '../../../../src/shared/store/check-store.js'
import { META_FORMAT } from '../../../../src/shared/store/format.js'
import { readEvidence } from '../../../../src/shared/store/primary/evidence-reader.js'
import {
  encodeNumbers,
  openPrimaryDatabases,
  PRIMARY_STORE_FORMAT,
  PRIMARY_STORE_FORMAT_FORMER,
  PrimaryKeys,
} from '../../../../src/shared/store/primary/format.js'
import { FRESH_FILE, isFresh, writeFreshMarker } from '../../../../src/shared/store/primary/fresh-marker.js'
import { EVIDENCE_PER_KIND_MAX } from '../../../../src/shared/store/primary/limits.js'
import type { PrimarySettings } from '../../../../src/shared/store/primary/settings.js'
import { openStoreReader } from '../../../../src/shared/store/store-reader.js'
import type { WriteOutcomes } from '../../../../src/shared/store/write-outcomes.js'
import { decodeEvidence, type EvidenceKind } from '../../../../src/shared/wire/primary/evidence.js'
import { EMPTY_LOG_END, RecordChain } from '../../../../src/threads/primary/commit-log/record-chain.js'
import { Consensus } from '../../../../src/threads/primary/consensus/consensus.js'
import type { Certificate, Commit, Header } from '../../../../src/threads/primary/consensus/types.js'
import { encodePosition } from '../../../../src/threads/primary/store/stored-state.js'
import type { Write } from '../../../../src/threads/primary/store/writes.js'
import { randomDag } from '../../../support/consensus/dags.js'
import { arrivals, logLine } from '../../../support/consensus/nodes.js'
import { fillStore, openStore } from '../../../support/damaged-stores.js'
import {
  certificateOf,
  commitOf,
  expectedOf,
  openPrimaryStore,
  positionOf,
  readLog,
  turnOf,
  written,
} from '../../../support/primary-stores.js'
import { seeded } from '../../../support/random.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { batchOf, COMMITTEE_DIGEST, SETTINGS } from '../../../support/threads/commit-pattern.mjs'

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values)
const vote = (author: number, ...values: number[]): Write => ({ type: 'vote', author, bytes: bytes(...values) })
const evidence = (accused: number, round: number, kind: EvidenceKind = 'headers'): Write => {
  const committee = Buffer.from(SETTINGS.committeeDigest, 'hex')
  return {
    type: 'evidence',
    evidence: { kind, accused, epoch: 0, round, committee, first: bytes(1), second: bytes(2) },
  }
}
const certificate = (index: number): Write => ({ type: 'certificate', ...certificateOf(index) })

function damageOf(directory: string): string[] {
  const damaged: string[] = []
  checkStore(directory, { onDamaged: (name, why) => damaged.push(`${name}: ${why}`), onProgress: () => {} })
  return damaged
}

describe('what a turn has written', () => {
  test('is there at the next start', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    await written(
      store,
      { type: 'signing', signing: { state: 'above', round: 7 } },
      { type: 'own-header', round: 8, bytes: bytes(8) },
      vote(0, 1),
      vote(1, 1),
      { type: 'own-batch', batch: batchOf(2, 0) },
      { type: 'own-batch', batch: batchOf(1, 0) },
      { type: 'own-batch', batch: batchOf(1, 1) },
      { type: 'payload', batch: batchOf(3, 0) },
      { type: 'payload', batch: batchOf(3, 1) },
      { type: 'worker-store', worker: 0, storeId: bytes(16) },
      { type: 'worker-store', worker: 0xffff_ffff, storeId: bytes(16, 1) },
      evidence(2, 5),
    )
    await written(
      store,
      { type: 'own-header', round: 9, bytes: bytes(9, 9) },
      vote(1, 2),
      { type: 'own-batch-done', batch: batchOf(1, 1) },
      { type: 'payload-done', batch: batchOf(3, 0) },
      { type: 'worker-store', worker: 0, storeId: bytes(16, 2) },
      { type: 'checkpoint-signed', bytes: bytes(1) },
      { type: 'checkpoint-signed', bytes: bytes(2) },
      { type: 'checkpoint-attested', index: 32, bytes: bytes(3) },
      { type: 'checkpoint-attested', index: 33, bytes: bytes(4) },
    )
    await store.close()
    const again = await openPrimaryStore(directory)
    expect(again.state()).toEqual({
      log: EMPTY_LOG_END,
      checkpointSigned: bytes(2),
      checkpointAttested: bytes(4),
      certificates: [],
      ownHeader: bytes(9, 9),
      votes: [bytes(1), bytes(2)],
      ownBatches: [batchOf(1, 0), batchOf(2, 0)],
      payload: [batchOf(3, 1)],
      workerStores: [
        { worker: 0, storeId: bytes(16, 2) },
        { worker: 0xffff_ffff, storeId: bytes(16, 1) },
      ],
      evidence: [{ accused: 2, kind: 'headers', round: 5 }],
      signing: { state: 'above', round: 7 },
    })
    await again.close()
  })

  test('has the certificates of the rounds from the last that was collected on, by ascending round', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    for (const round of [12, 10, 300, 11, 9]) await written(store, certificate(round))
    await written(store, { type: 'collected', gcRound: 10 })
    await store.close()
    const again = await openPrimaryStore(directory)
    expect(again.state().certificates).toEqual([10, 11, 12, 300].map((round) => certificateOf(round).bytes))
    expect(again.certificate(certificateOf(9).digest)).toEqual(certificateOf(9).bytes)
    expect(again.certificate(certificateOf(13).digest)).toBeUndefined()
    expect(again.certificates(10, 12, 2)).toEqual([10, 11].map((round) => certificateOf(round).bytes))
    await again.close()
  })

  test('of evidence is at most so much of each kind against each authority, and the first of it', async () => {
    const directory = temporaryDirectory()
    for (const from of [1, EVIDENCE_PER_KIND_MAX]) {
      const store = await openPrimaryStore(directory)
      for (let round = from; round < from + EVIDENCE_PER_KIND_MAX; round += 1) {
        await written(store, evidence(1, round), evidence(1, round), evidence(1, round, 'certificates'))
        if (from === 1) await written(store, { type: 'collected', gcRound: 1_000 })
      }
      await store.close()
    }
    const store = await openPrimaryStore(directory)
    const rounds = Array.from({ length: EVIDENCE_PER_KIND_MAX }, (_, n) => n + 1)
    const { evidence: kept } = store.state()
    for (const kind of ['headers', 'certificates'] as const) {
      expect(kept.filter((key) => key.kind === kind).map(({ round }) => round)).toEqual(rounds)
    }
    expect(damageOf(directory)).toEqual([])
    await store.close()
  })
})

test('a store of the former format is taken over, with its evidence; others read it when that is done', async () => {
  const directory = temporaryDirectory()
  const store = await openPrimaryStore(directory)
  await written(store, { type: 'signing', signing: { state: 'above', round: 7 } }, evidence(2, 9))
  await store.close()
  const keys = new PrimaryKeys(0)
  const databases = openPrimaryDatabases(directory)
  const formerKey = (author: number, round: number): Buffer => {
    const key = Buffer.alloc(18)
    key.writeUInt16BE(author, 8)
    key.writeBigUInt64BE(BigInt(round), 10)
    return key
  }
  const formerValue = (kind: number): Buffer => Buffer.of(0, 0, 0, 3, 1, kind, 7, 1, kind, 8)
  await databases.root.transaction(() => {
    databases.meta.put(META_FORMAT, encodeNumbers([PRIMARY_STORE_FORMAT - 1]))
    databases.evidence.remove(keys.evidence({ accused: 2, kind: 'headers', round: 9 }))
    databases.evidence.put(formerKey(1, 300), formerValue(1))
    databases.evidence.put(formerKey(2, 4), formerValue(3))
    databases.evidence.put(formerKey(3, 5), formerValue(9))
    databases.evidence.put(formerKey(3, 6), Buffer.of(1))
  })
  await databases.root.close()
  expect(() => readEvidence(directory)).toThrow(/format 1000002, .* start its node once/)
  const again = await openPrimaryStore(directory)
  expect(again.state()).toMatchObject({
    signing: { state: 'above', round: 7 },
    evidence: [
      { accused: 1, kind: 'headers', round: 300 },
      { accused: 2, kind: 'certificates', round: 4 },
    ],
  })
  await again.close()
  const committee = new Uint8Array(Buffer.from(SETTINGS.committeeDigest, 'hex'))
  expect(readEvidence(directory).records.map((record) => decodeEvidence(record, SETTINGS.authorities))).toEqual([
    { kind: 'headers', accused: 1, epoch: 0, round: 300, committee, first: bytes(1, 1, 7), second: bytes(1, 1, 8) },
    { kind: 'certificates', accused: 2, epoch: 0, round: 4, committee, first: bytes(1, 3, 7), second: bytes(1, 3, 8) },
  ])
  expect(damageOf(directory)).toEqual([])
})

test('a log that does not end where consensus stands is damage, and is said at the start', async () => {
  const directory = temporaryDirectory()
  const store = await openPrimaryStore(directory)
  await written(store, ...turnOf(1, 3))
  expect(store.state().consensus).toMatchObject({ index: 3 })
  await store.close()
  const databases = openPrimaryDatabases(directory)
  await databases.state.put(new PrimaryKeys(SETTINGS.epoch).state('position'), encodePosition(positionOf(2)))
  await databases.root.close()
  const again = await openPrimaryStore(directory)
  expect(() => again.state()).toThrow(/consensus stands at commit 2, and the log ends at commit 3/)
  await again.close()
})

test('commits that were taken from others are whole without their certificates, and wait for the state at their end', async () => {
  const directory = temporaryDirectory()
  const chain = new RecordChain({ committeeDigest: COMMITTEE_DIGEST, epoch: 0 })
  const records = Array.from({ length: 40 }, (_, n) => commitOf(n + 1)).map((commit) => {
    return { ...chain.append(commit), commit: { ...commit, round: commit.anchor.round } }
  })
  const store = await openPrimaryStore(directory)
  await written(store, { type: 'fetched', records: records.slice(0, 32) })
  await store.close()
  expect(damageOf(directory)).toEqual([])
  const again = await openPrimaryStore(directory)
  expect(again.state()).toMatchObject({ log: { index: 32 }, unfinished: expect.any(Array) })
  // To others it does not say that it has these certificates.
  expect(again.lowestRound).toBe(33)
  await written(again, { type: 'fetched', records: records.slice(32) }, { type: 'joined', state: positionOf(40) })
  expect(again.state()).toMatchObject({ consensus: { index: 40 } })
  expect(again.state().unfinished).toBeUndefined()
  await again.close()
  expect(damageOf(directory)).toEqual([])
  expect(readLog(directory)).toEqual(Array.from({ length: 40 }, (_, n) => expectedOf(n + 1)))
  // From then on a state that is behind is damage again.
  const databases = openPrimaryDatabases(directory)
  await databases.state.put(new PrimaryKeys(SETTINGS.epoch).state('position'), encodePosition(positionOf(39)))
  await databases.root.close()
  expect(damageOf(directory)).toEqual([expect.stringMatching(/ends with commit 40, consensus with 39/)])
})

test('a store whose flush has failed does not hang when it is closed: it says so', async () => {
  const failures: string[] = []
  const store = await openPrimaryStore(temporaryDirectory(), {}, { onFatal: ({ code }) => failures.push(code) })
  const { outcomes } = store as unknown as { outcomes: WriteOutcomes }
  vi.spyOn(outcomes, 'settle').mockReturnValue(new Promise(() => {}))
  store.write([vote(1, 1)], () => {})
  const closed = store.close()
  outcomes.flushFailed(new Error('EIO: i/o error, fdatasync'))
  await expect(closed).rejects.toMatchObject({ code: 'ERR_STORE_WRITE' })
  expect(failures).toEqual(['ERR_STORE_WRITE'])
})

describe('consensus', () => {
  /** Digests as they are: 32 bytes. */
  const widened = ({ digest, header }: Certificate): Certificate => ({
    digest: digest.padEnd(32),
    header: wide(header),
  })
  const wide = (header: Header): Header => ({
    ...header,
    id: header.id.padEnd(32),
    parents: header.parents.map((parent) => parent.padEnd(32)),
    payload: header.payload.map((entry) => ({ ...entry, digest: entry.digest.padEnd(32) })),
  })
  const encode = (value: Certificate): Uint8Array =>
    Buffer.from(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}n` : each)))
  const decode = (value: Uint8Array): Certificate =>
    JSON.parse(Buffer.from(value).toString(), (key, each) =>
      key === 'sequence' ? BigInt(String(each).slice(0, -1)) : each,
    ) as Certificate

  test.each([1, 2, 3])(
    'goes on from what the store has as if it had not stopped, wherever it restarts: seed %i',
    async (seed) => {
      const random = seeded(seed)
      const dag = randomDag({ random, stakes: [1, 1, 1, 1], rounds: 40 })
      const options = { stakes: [1, 1, 1, 1], gcDepth: 10, rule: 'shoal' as const }
      const order = [...arrivals(random, dag, { lag: 1 })].filter((arrival) => 'certificate' in arrival)
      const given = order.map(({ certificate }) => widened(certificate)).sort((a, b) => a.header.round - b.header.round)
      const whole = new Consensus(options)
      const expected = given.flatMap((each) => whole.addCertificate(each)).map(logLine)
      expect(expected.length).toBeGreaterThan(20)

      const directory = temporaryDirectory()
      const found: string[] = []
      let store = await openPrimaryStore(directory)
      let consensus = new Consensus(options)
      const chain = new RecordChain({ committeeDigest: COMMITTEE_DIGEST, epoch: 0 })
      const add = async (each: Certificate): Promise<void> => {
        const commits = consensus.addCertificate(each)
        found.push(...commits.map(logLine))
        await written(store, ...turn(each, commits))
      }
      const turn = (each: Certificate, commits: readonly Commit[]): Write[] => [
        {
          type: 'certificate',
          round: each.header.round,
          author: each.header.author,
          digest: Buffer.from(each.digest, 'latin1'),
          bytes: encode(each),
        },
        ...(commits.length > 0
          ? [
              {
                type: 'commits',
                records: commits.map((commit) => chain.append(commit)),
                state: consensus.position(),
              } as const,
            ]
          : []),
        { type: 'collected', gcRound: consensus.gcRound },
      ]
      for (const each of given) {
        await add(each)
        if (random() > 0.1) continue
        await store.close()
        store = await openPrimaryStore(directory)
        const state = store.state()
        consensus = new Consensus(options, state.consensus)
        expect(consensus.lastIndex).toBe(found.length)
        expect(state.log).toMatchObject({ index: chain.index, peaks: chain.range.peaks })
        // What is handed over again was handed over before: it makes no commits that were not made.
        for (const stored of state.certificates) expect(consensus.addCertificate(decode(stored))).toEqual([])
      }
      expect(found).toEqual(expected)
      expect(consensus.snapshot()).toEqual(whole.snapshot())
      await store.close()
      const last = await openPrimaryStore(directory)
      expect(last.state().consensus).toEqual(JSON.parse(JSON.stringify(whole.snapshot())))
      await last.close()
    },
  )
})

describe('certificates', () => {
  test('go when they are too many rounds behind, and never above the last round that was collected', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory, { certificateRoundsKept: 20 })
    for (let round = 1; round <= 400; round += 1) await written(store, certificate(round))
    await written(store, { type: 'collected', gcRound: 50 })
    // A deletion is of so many at a time.
    await written(store, { type: 'collected', gcRound: 300 })
    for (let n = 0; n < 10; n += 1) await written(store, { type: 'collected', gcRound: 300 })
    expect(store.certificates(0, 1000, 1000)).toEqual(
      Array.from({ length: 120 }, (_, n) => certificateOf(281 + n).bytes),
    )
    expect(store.certificate(certificateOf(280).digest)).toBeUndefined()
    await store.close()
    expect(damageOf(directory)).toEqual([])
  })

  test('go when they take too many bytes, the lowest rounds first', async () => {
    const directory = temporaryDirectory()
    const each = certificateOf(1).bytes.length + 32
    const store = await openPrimaryStore(directory, { certificateBytesKept: 10 * each })
    for (let round = 1; round <= 100; round += 1) await written(store, certificate(round))
    expect(store.certificates(0, 1000, 1000)).toHaveLength(100)
    for (let n = 0; n < 4; n += 1) await written(store, { type: 'collected', gcRound: 95 })
    expect(store.certificates(0, 1000, 1000)).toHaveLength(10)
    await store.close()
    const again = await openPrimaryStore(directory, { certificateBytesKept: 10 * each })
    for (let round = 101; round <= 110; round += 1)
      await written(again, certificate(round), { type: 'collected', gcRound: round })
    expect(again.certificates(0, 1000, 1000).length).toBeLessThanOrEqual(11)
    await again.close()
  })
})

test('a certificate above the last round that was collected never goes, whatever the bytes', async () => {
  const store = await openPrimaryStore(temporaryDirectory(), { certificateBytesKept: 0, certificateRoundsKept: 0 })
  for (let round = 1; round <= 40; round += 1) await written(store, certificate(round))
  for (let n = 0; n < 3; n += 1) await written(store, { type: 'collected', gcRound: 30 })
  const kept = Array.from({ length: 11 }, (_, n) => certificateOf(30 + n).bytes)
  expect(store.certificates(0, 1000, 1000)).toEqual(kept)
  expect(store.state().certificates).toEqual(kept)
  await store.close()
})

describe('a store', () => {
  test('has an id of its own, which a restart does not change', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    const other = await openPrimaryStore(temporaryDirectory())
    expect(store.storeId).toHaveLength(16)
    expect(other.storeId).not.toEqual(store.storeId)
    await store.close()
    await other.close()
    const again = await openPrimaryStore(directory)
    expect(again.storeId).toEqual(store.storeId)
    await again.close()
  })

  test.each<[string, Partial<PrimarySettings>, string, RegExp]>([
    ['another key', { authority: Buffer.alloc(32, 9).toString('base64') }, 'ERR_STORE_FOREIGN', /--store of its own/],
    ['another committee', { committeeDigest: 'ab'.repeat(32) }, 'ERR_STORE_SETTINGS', /put back the committee file/],
    [
      'another rule',
      { rule: 'tusk' },
      'ERR_STORE_SETTINGS',
      /the rule shoal, this node has tusk: .*start with that one/,
    ],
    ['another gc_depth', { gcDepth: 51 }, 'ERR_STORE_SETTINGS', /gc_depth 50, this node has 51/],
    ['another epoch', { epoch: 1 }, 'ERR_STORE_SETTINGS', /epoch 0, this node has 1/],
  ])('is refused with %s, and nothing in it changes', async (_, changed, code, text) => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    await written(store, vote(0, 1))
    await store.close()
    const open = openPrimaryStore(directory, { settings: { ...SETTINGS, ...changed } })
    await expect(open).rejects.toMatchObject({ code, message: expect.stringMatching(text) })
    const again = await openPrimaryStore(directory)
    expect(again.state().votes).toEqual([bytes(1)])
    await again.close()
  })

  test('of a worker is refused by a primary, and one of a primary by a worker and its tools', async () => {
    const ofWorker = temporaryDirectory()
    await fillStore(ofWorker, [1])
    const refused = { code: 'ERR_STORE_FORMAT', message: expect.stringMatching(/is the store of a worker/) }
    await expect(openPrimaryStore(ofWorker)).rejects.toMatchObject(refused)
    openStoreReader(ofWorker).close()
    const ofPrimary = temporaryDirectory()
    await (await openPrimaryStore(ofPrimary)).close()
    const wrong = expect.objectContaining({ code: 'ERR_STORE_FORMAT', message: expect.stringMatching(/of a primary/) })
    expect(() => openStore(ofPrimary)).toThrow(wrong)
    expect(() => openStoreReader(ofPrimary)).toThrow(wrong)
    expect(damageOf(ofPrimary)).toEqual([])
    await (await openPrimaryStore(ofPrimary)).close()
  })

  test('of another format is refused, with what to do', async () => {
    const directory = temporaryDirectory()
    await (await openPrimaryStore(directory)).close()
    const { meta, root } = openPrimaryDatabases(directory)
    const format = Buffer.alloc(8)
    format.writeBigUInt64BE(BigInt(PRIMARY_STORE_FORMAT + 1))
    await meta.put(META_FORMAT, format)
    await root.close()
    const refused = { code: 'ERR_STORE_FORMAT', message: expect.stringMatching(/format 1000004, .* reads 1000003/) }
    await expect(openPrimaryStore(directory)).rejects.toMatchObject(refused)
  })

  /** As an earlier version leaves it. */
  async function withoutRange(directory: string): Promise<void> {
    const { meta, range, root } = openPrimaryDatabases(directory)
    const format = Buffer.alloc(8)
    format.writeBigUInt64BE(BigInt(PRIMARY_STORE_FORMAT_FORMER))
    await meta.put(META_FORMAT, format)
    await range.drop()
    await root.close()
  }

  test('of the format before gets its range, once, and goes on as if it had always had it', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory)
    await written(store, ...turnOf(1, 2), ...turnOf(3, 3, 3_000), ...turnOf(4, 75))
    const { log } = store.state()
    await store.close()
    await withoutRange(directory)
    for (let n = 0; n < 2; n += 1) {
      const again = await openPrimaryStore(directory)
      expect(again.state().log).toEqual(log)
      await again.close()
    }
    expect(damageOf(directory)).toEqual([])
  })

  test('of the format before whose first commits are gone is refused, with what to do, and stays as it is', async () => {
    const directory = temporaryDirectory()
    const store = await openPrimaryStore(directory, { retentionCommits: 10 })
    await written(store, ...turnOf(1, 20))
    for (let n = 0; n < 5; n += 1) await written(store, vote(1, n))
    await store.close()
    await withoutRange(directory)
    for (let n = 0; n < 2; n += 1) {
      const refused = {
        code: 'ERR_STORE_FORMAT',
        message: expect.stringMatching(/begins with commit 11: .*--recovered/),
      }
      await expect(openPrimaryStore(directory)).rejects.toMatchObject(refused)
    }
  })
})

describe('what may be signed', () => {
  const signing = async (...args: Parameters<typeof openPrimaryStore>): Promise<unknown> => {
    const store = await openPrimaryStore(...args)
    const { signing } = store.state()
    await store.close()
    return signing
  }

  test('is nothing by a store that is new, at every start, until the others have said how far we were', async () => {
    const directory = temporaryDirectory()
    expect(await signing(directory)).toEqual({ state: 'recovering' })
    expect(await signing(directory)).toEqual({ state: 'recovering' })
    const store = await openPrimaryStore(directory)
    await written(store, { type: 'signing', signing: { state: 'above', round: 12 } })
    await store.close()
    expect(await signing(directory)).toEqual({ state: 'above', round: 12 })
  })

  test('is everything by a new store of an authority that has never signed, and the marker counts once', async () => {
    const directory = temporaryDirectory()
    writeFreshMarker(directory, SETTINGS.authority)
    expect(isFresh(directory, SETTINGS.authority)).toBe(true)
    expect(await signing(directory)).toEqual({ state: 'above', round: 0 })
    expect(isFresh(directory, SETTINGS.authority)).toBe(false)
    expect(await signing(directory)).toEqual({ state: 'above', round: 0 })
  })

  test('is nothing by a store that an operator says is old, marker or not, and stays so after a restart', async () => {
    const directory = temporaryDirectory()
    writeFreshMarker(directory, SETTINGS.authority)
    expect(await signing(directory, { isRecovered: true })).toEqual({ state: 'recovering' })
    expect(await signing(directory)).toEqual({ state: 'recovering' })
    const store = await openPrimaryStore(directory)
    await written(store, { type: 'signing', signing: { state: 'above', round: 12 } })
    await store.close()
    expect(await signing(directory, { isRecovered: true })).toEqual({ state: 'recovering' })
    expect(await signing(directory)).toEqual({ state: 'recovering' })
  })

  test('is not said by a marker that a kill left unfinished, which is in the way of no other', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, `${FRESH_FILE}.new`), '')
    expect(isFresh(directory, SETTINGS.authority)).toBe(false)
    writeFreshMarker(directory, SETTINGS.authority)
    expect(isFresh(directory, SETTINGS.authority)).toBe(true)
    expect(() => writeFreshMarker(directory, SETTINGS.authority)).toThrow('EEXIST')
    expect(await signing(directory)).toEqual({ state: 'above', round: 0 })
    expect(readdirSync(directory).filter((name) => name.startsWith(FRESH_FILE))).toEqual([])
  })

  test('is not said by a marker of another authority', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, FRESH_FILE), `${Buffer.alloc(32, 9).toString('base64')}\n`)
    await expect(openPrimaryStore(directory)).rejects.toMatchObject({ code: 'ERR_STORE_FOREIGN' })
  })

  test('is nothing where the store does not say it', async () => {
    const directory = temporaryDirectory()
    writeFreshMarker(directory, SETTINGS.authority)
    const store = await openPrimaryStore(directory)
    await store.close()
    const { root, state } = openPrimaryDatabases(directory)
    for (const key of state.getKeys({})) await state.put(new Uint8Array(key), new Uint8Array([1]))
    await root.close()
    expect(await signing(directory)).toEqual({ state: 'recovering' })
  })
})
