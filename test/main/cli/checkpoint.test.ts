/** `narval checkpoint` and `narval verify-log` on stores that no node runs: whole ones, and ones that somebody has changed. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { publicKeyOf, signer, verifier } from '../../../src/shared/crypto/ed25519.js'
import { encodeNumbers, openPrimaryDatabases, PrimaryKeys } from '../../../src/shared/store/primary/format.js'
import { checkpointMessage, encodeAttestedCheckpoint } from '../../../src/shared/wire/primary/checkpoint.js'
import { CHECKPOINT_INTERVAL } from '../../../src/shared/wire/primary/limits.js'
import { rangeRoot } from '../../../src/shared/wire/primary/mountain-range.js'
import { sha256 } from '../../../src/shared/wire/primary/sha256.js'
import { verifyCheckpoint, verifyCommit } from '../../../src/shared/wire/primary/verify-checkpoint.js'
import { RecordChain } from '../../../src/threads/primary/commit-log/record-chain.js'
import type { PrimaryStoreOptions } from '../../../src/threads/primary/store/primary-store.js'
import { commitOf, openPrimaryStore, turnOf, written } from '../../support/primary-stores.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { SETTINGS } from '../../support/threads/commit-pattern.mjs'

const NODE_FILE = new URL('../../../dist/node.js', import.meta.url).pathname
const ZEROS = new Uint8Array(32)
const keys = new PrimaryKeys(0)

function committeeFile(seeds: readonly Uint8Array[]) {
  const authorities = Object.fromEntries(
    seeds.map((seed) => [
      Buffer.from(publicKeyOf(seed)).toString('base64'),
      { stake: 1, primary: {}, workers: { 0: {} } },
    ]),
  )
  const text = JSON.stringify({ authorities })
  const committee = parseCommittee({ authorities }, 'committee')
  const digest = committeeDigest(committee)
  const bySeed = new Map(seeds.map((seed) => [Buffer.from(publicKeyOf(seed)).toString('base64'), signer(seed)]))
  const sign = committee.authorities.map(({ name }) => bySeed.get(name)!)
  const verify = committee.authorities.map(({ publicKey }) => verifier(publicKey))
  const write = (): string => {
    const path = join(temporaryDirectory(), 'committee.json')
    writeFileSync(path, text)
    return path
  }
  return { digest, sign, verify, write }
}
const COMMITTEE = committeeFile([1, 2, 3, 4].map((of) => new Uint8Array(32).fill(of)))

function narval(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NODE_FILE, ...args], { encoding: 'utf8' })
  return { status, lines: stdout.trim().split('\n'), stdout, stderr }
}
const verifyLog = (directory: string, committee = COMMITTEE) =>
  narval('verify-log', '--committee', committee.write(), '--store', directory)

/** A checkpoint of the records up to this one, by a quorum, as all honest authorities would sign it. */
function attested(index: number, root: Uint8Array, sign = COMMITTEE.sign) {
  const checkpoint = { epoch: 0, index, rule: ZEROS, root, state: ZEROS }
  const message = checkpointMessage(COMMITTEE.digest, checkpoint)
  const signatures = [0, 1, 3].map((signer) => ({ signer, signature: sign[signer]!(message) }))
  return encodeAttestedCheckpoint({ ...checkpoint, signatures })
}

/** A log up to `last`, with checkpoints of the multiples of 32, and one of `latest`. */
async function logOf(last: number, latest: number | undefined, options: Partial<PrimaryStoreOptions> = {}) {
  const directory = temporaryDirectory()
  const settings = { ...SETTINGS, committeeDigest: Buffer.from(COMMITTEE.digest).toString('hex') }
  const store = await openPrimaryStore(directory, { settings, ...options })
  const chain = new RecordChain({ committeeDigest: COMMITTEE.digest, epoch: 0 })
  for (let index = 1; index <= last; index += 1) {
    const records = [chain.append(commitOf(index))]
    const state = { index } as never
    const isDue = latest !== undefined && index <= latest && (index % CHECKPOINT_INTERVAL === 0 || index === latest)
    await written(
      store,
      { type: 'commits', records, state },
      ...(isDue
        ? [{ type: 'checkpoint-attested', index, bytes: attested(index, rangeRoot(sha256, chain.range)) } as const]
        : []),
    )
  }
  await store.close()
  return { directory, chain }
}

/** Changes what is in the store, as somebody can who has the file. */
async function changed(
  directory: string,
  change: (databases: ReturnType<typeof openPrimaryDatabases>) => Promise<unknown>,
): Promise<void> {
  const databases = openPrimaryDatabases(directory)
  await change(databases)
  await databases.root.close()
}

/** Another commit in this place, and another chain from there on: each record is what the next one says. */
async function rewritten(directory: string, from: number, last: number, withRange: boolean): Promise<void> {
  const chain = new RecordChain({ committeeDigest: COMMITTEE.digest, epoch: 0 })
  const records = Array.from({ length: last }, (_, at) => {
    const commit = commitOf(at + 1)
    return chain.append(at + 1 === from ? { ...commit, timestamp: commit.timestamp + 1 } : commit)
  })
  await changed(directory, async ({ commits, range, state }) => {
    for (const { commit, nodes, parts } of records.slice(from - 1)) {
      await commits.put(keys.commit(commit.index), parts[0]!)
      if (withRange) await range.put(keys.range(commit.index), Buffer.concat(nodes))
    }
    const nextBatch = records.reduce((sum, { commit }) => sum + commit.batches.length, 0)
    const head = Buffer.concat([encodeNumbers([last]), records.at(-1)!.digest, encodeNumbers([nextBatch])])
    await state.put(keys.state('head'), head)
  })
}

test('the latest is printed, and that of a commit, with what proves a commit to whoever has the committee file', async () => {
  const { directory, chain } = await logOf(70, 70)
  const { lines, status } = narval('checkpoint', '--store', directory)
  expect(status).toBe(0)
  expect(lines[0]).toBe('checkpoint of commit 70  epoch 0  signed by authorities 0, 1, 3')
  expect(lines[1]).toBe(`root    ${Buffer.from(rangeRoot(sha256, chain.range)).toString('hex')}`)
  const printed = narval('checkpoint', '--store', directory, '--index', '64', '--prove', '33', '--json')
  const { commit, proof, proven_record, record, signers } = JSON.parse(printed.stdout)
  expect([commit, signers]).toEqual([64, [0, 1, 3]])
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))
  const committee = {
    digest: COMMITTEE.digest,
    stakes: [1, 1, 1, 1],
    verify: (authority: number, message: Uint8Array, signature: Uint8Array) =>
      COMMITTEE.verify[authority]!(message, signature),
  }
  const check = verifyCheckpoint(bytes(record), committee)
  if (!check.ok) throw new Error(check.reason)
  const nodes = (proof as string[]).map(bytes)
  expect(verifyCommit(check.checkpoint, committee, bytes(proven_record), nodes)).toBe(true)
  // Nothing else passes for it.
  const other = bytes(proven_record)
  other[30]! ^= 1
  expect(verifyCommit(check.checkpoint, committee, other, nodes)).toBe(false)
  expect(verifyCommit(check.checkpoint, { digest: ZEROS }, bytes(proven_record), nodes)).toBe(false)
  for (const [stakes, reason] of [
    [[1, 1, 4, 1], 'quorum'],
    [[1, 1, 1], 'malformed'],
  ] as const) {
    expect(verifyCheckpoint(bytes(record), { ...committee, stakes })).toEqual({ ok: false, reason })
  }
  expect(verifyCheckpoint(bytes(record), { ...committee, digest: ZEROS })).toEqual({ ok: false, reason: 'signature' })
})

test('one that is not there is an error, and so is a commit that is not under it', async () => {
  const { directory } = await logOf(40, 40)
  const expectError = (...args: string[]): void => {
    const { status, stderr, stdout } = narval('checkpoint', '--store', directory, ...args)
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^narval: ERR_CHECKPOINT_NOT_FOUND: [^\n]+\n$/)
  }
  expectError('--index', '33')
  expectError('--prove', '41')
  const none = await logOf(3, undefined)
  expect(narval('checkpoint', '--store', none.directory).stderr).toMatch(/has no checkpoint yet/)
})

test('a whole log is verified up to its latest checkpoint, and what is behind that is counted', async () => {
  const { directory } = await logOf(70, 64)
  const { lines, status } = verifyLog(directory)
  expect(lines).toEqual([
    'commits 1 to 70 are whole, and each names the one before',
    'commits up to 64 are attested: authorities 0, 1, 3, with stake 3 of 4, have signed their root',
    '6 later ones are not attested yet',
  ])
  expect(status).toBe(0)
})

test('a log whose first commits are gone is verified from the oldest, by the peaks that the store keeps', async () => {
  const { directory } = await logOf(100, 97, { retentionCommits: 21 })
  const { lines, status } = verifyLog(directory)
  expect(lines[0]).toMatch(/^commits 80 to 100 are whole/)
  expect(lines[1]).toMatch(/^commits before 80 are not kept/)
  expect(lines[2]).toMatch(/^commits up to 97 are attested/)
  expect(status).toBe(0)
  expect(narval('checkpoint', '--store', directory, '--prove', '80').status).toBe(0)
  // Other peaks lead to another root.
  await changed(directory, ({ range }) => range.put(keys.range(64), Buffer.alloc(7 * 32, 1)))
  const wrong = verifyLog(directory)
  expect(wrong.lines).toEqual([expect.stringMatching(/^wrong: of the commits 80 to 96 one is another/)])
  expect(wrong.status).toBe(1)
})

test('a log without a checkpoint proves nothing', async () => {
  const { directory } = await logOf(10, undefined)
  const { lines, status } = verifyLog(directory)
  expect(lines.at(-1)).toMatch(/^no checkpoint yet/)
  expect(status).toBe(1)
})

test('the first record that is wrong is named: one that is not what the next one says', async () => {
  const { directory } = await logOf(70, 64)
  await changed(directory, async ({ commits }) => {
    const bytes = Buffer.from(commits.getBinary(keys.commit(23))!)
    bytes[bytes.length - 1]! ^= 1
    await commits.put(keys.commit(23), bytes)
  })
  const { lines, status } = verifyLog(directory)
  expect(lines).toEqual([expect.stringMatching(/^wrong: .*the record of commit 23 is another/)])
  expect(status).toBe(1)
})

test.each([
  [false, /^wrong: commit 40 is another than the one that a quorum has signed with the checkpoint of commit 64/],
  [true, /^wrong: of the commits 33 to 64 one is another .*; those up to 32 are what was signed/],
])(
  'so is one in a chain that was made anew from it on, and in a range that was, too: %s',
  async (withRange, expected) => {
    const { directory } = await logOf(100, 97)
    await rewritten(directory, 40, 100, withRange)
    const { lines, status } = verifyLog(directory)
    expect(lines).toEqual([expect.stringMatching(expected)])
    expect(status).toBe(1)
  },
)

test('a checkpoint with a signature that is not valid is said, and a record of none is damage', async () => {
  const { directory, chain } = await logOf(64, 64)
  const others = [9, 8, 7, 6].map((of) => signer(new Uint8Array(32).fill(of)))
  const forged = attested(64, rangeRoot(sha256, chain.range), others)
  await changed(directory, ({ checkpoints }) => checkpoints.put(keys.checkpoint(64), Buffer.from(forged)))
  expect(verifyLog(directory).lines).toEqual([
    expect.stringMatching(/^wrong: the checkpoint of commit 64: a signature/),
  ])
  await changed(directory, ({ checkpoints }) => checkpoints.put(keys.checkpoint(64), Buffer.from('none')))
  expect(verifyLog(directory).lines).toEqual([expect.stringMatching(/^wrong: .*the checkpoint of commit 64/)])
  expect(narval('check', '--store', directory).stdout).toMatch(/damaged {2}\(checkpoints [0-9a-f]+\)/)
})

test('another committee file is refused', async () => {
  const { directory } = await logOf(32, 32)
  const other = committeeFile([1, 2, 3, 5].map((of) => new Uint8Array(32).fill(of)))
  const { status, stderr, stdout } = verifyLog(directory, other)
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^narval: ERR_STORE_SETTINGS: the log in .* is of the committee [0-9a-f]{64}/)
})

test('beside a running store both read what is on the disk', async () => {
  const directory = temporaryDirectory()
  const store = await openPrimaryStore(directory)
  await written(store, ...turnOf(1, 40))
  expect(narval('checkpoint', '--store', directory).stderr).toMatch(/ERR_CHECKPOINT_NOT_FOUND/)
  await store.close()
})
