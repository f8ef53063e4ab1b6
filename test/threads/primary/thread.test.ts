/** The primary's thread: a real thread with a real store and real signatures. */
import { expect, test } from 'vitest'
import { CommitLogReader } from '../../../src/shared/store/primary/commit-log-reader.js'
import { followBatches } from '../../../src/shared/store/primary/follow-commits.js'
import { encodeCertificate } from '../../../src/shared/wire/primary/certificate.js'
import { encodeHeader } from '../../../src/shared/wire/primary/header.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { decodeVote } from '../../../src/shared/wire/primary/vote.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import {
  batchOf,
  falseHeader,
  headerOf,
  type PrimaryThreadUnderTest,
  refusalsIn,
  SEEDS,
  startPrimaryThread,
  voteOf,
} from '../../support/threads/primary-thread.js'
import { until } from '../../support/until.js'

const AUTHORITIES = SEEDS.map((_, authority) => authority)

/** Threads whose sends go to each other at once. */
class Committee {
  readonly directories = AUTHORITIES.map(() => temporaryDirectory())
  readonly threads: (PrimaryThreadUnderTest | undefined)[] = []

  async start(authority: number, fresh = true): Promise<void> {
    const thread = await startPrimaryThread({
      directory: this.directories[authority]!,
      authority,
      fresh,
      onSends: (sends) => {
        for (const { bytes, to } of sends) {
          for (const peer of to === 'all' ? this.othersOf(authority) : [to]) {
            const { client } = this.threads[peer] ?? {}
            if (client?.hasCredit(authority)) client.message(authority, bytes)
          }
        }
      },
    })
    this.threads[authority] = thread
    for (const peer of this.othersOf(authority)) {
      const other = this.threads[peer]
      if (other === undefined) continue
      thread.client.connected(peer)
      other.client.connected(authority)
    }
  }

  async stop(authority: number): Promise<void> {
    const thread = this.threads[authority]!
    this.threads[authority] = undefined
    for (const peer of this.othersOf(authority)) this.threads[peer]?.client.disconnected(authority)
    await thread.close()
  }

  /** A batch of an authority, which all of the workers have. */
  async batch(author: number, sequence: number): Promise<void> {
    const batch = batchOf(author, sequence)
    await Promise.all(
      this.threads.map((thread, authority) =>
        thread?.client.batch(authority === author ? 'own-batch' : 'others-batch', batch),
      ),
    )
  }

  othersOf(authority: number): number[] {
    return AUTHORITIES.filter((peer) => peer !== authority)
  }
}

/** The batches of an authority's log, so many, as they come. */
async function firstBatches(directory: string, count: number, head: PrimaryThreadUnderTest['head']): Promise<string[]> {
  const reader = new CommitLogReader(directory)
  const found: string[] = []
  try {
    for await (const { batch, commit } of followBatches(reader, { commit: 0, position: -1 }, { head })) {
      found.push(`${commit.index} ${commit.timestamp} ${batch.author} ${batch.sequence} ${hex(batch.digest)}`)
      if (found.length === count) break
    }
  } finally {
    reader.close()
  }
  return found
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

test('four threads agree on one order of all batches, also when one was closed and started again', async () => {
  const committee = new Committee()
  for (const authority of AUTHORITIES) await committee.start(authority)
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    for (const author of AUTHORITIES) await committee.batch(author, sequence)
  }
  const readAll = (count: number): Promise<string[][]> =>
    Promise.all(
      committee.threads.map((thread, authority) =>
        firstBatches(committee.directories[authority]!, count, thread!.head),
      ),
    )
  const before = await readAll(20)
  expect(new Set(before.map((log) => log.join('\n'))).size).toBe(1)
  expect(new Set(before[0]!.map((line) => line.split(' ').slice(2).join(' '))).size).toBe(20)

  await committee.stop(3)
  for (const author of [0, 1, 2]) await committee.batch(author, 6)
  await committee.start(3, false)
  await committee.batch(3, 7)
  // What it was not told of while it was closed its own worker says now.
  for (const author of [0, 1, 2]) await committee.threads[3]!.client.batch('others-batch', batchOf(author, 6))
  const after = await readAll(24)
  expect(new Set(after.map((log) => log.join('\n'))).size).toBe(1)
  expect(after[0]!.slice(0, 20)).toEqual(before[0])

  const commits = () =>
    committee.threads[0]!.outputs.flatMap(({ requests }) => requests).flatMap((request) =>
      request.type === 'committed' ? request.commits : [],
    )
  const told = (): string[] => commits().flatMap(({ batches }) => batches.map(({ digest }) => hex(digest)))
  await until('all was said', () => told().length >= 24)
  expect(commits().map(({ index }) => index)).toEqual(commits().map((_, at) => at + 1))
  expect(told().slice(0, 24)).toEqual(after[0]!.map((line) => line.split(' ')[4]))
  const warnings = (log: readonly string[]): string[] => log.filter((line) => !line.startsWith('info '))
  expect(committee.threads.flatMap((thread) => [...thread!.died, ...warnings(thread!.log)])).toEqual([])
  expect(committee.threads[0]!.counters.get('lastCommit')).toBeGreaterThan(0)
})

test('a vote is given for a header of a peer, and is the same after a restart', async () => {
  const directory = temporaryDirectory()
  const header = headerOf(1)
  const votes: string[] = []
  for (const fresh of [true, false]) {
    const thread = await startPrimaryThread({ directory, fresh })
    thread.client.connected(1)
    thread.client.message(1, encodeHeader(header))
    const voteFor = (): Uint8Array | undefined =>
      thread.outputs.flatMap(({ sends }) => sends).find(({ bytes, to }) => kindOf(bytes) === 'vote' && to === 1)?.bytes
    await until('there is a vote', () => voteFor() !== undefined)
    votes.push(hex(voteFor()!))
    expect(hex(decodeVote(voteFor()!, 4).signature)).toBe(hex(voteOf(0, header).signature))
    await thread.close()
  }
  expect(votes[1]).toBe(votes[0])
})

test('a peer that sends signatures that are not valid keeps nobody else waiting', async () => {
  const count = 800
  let sent = 0
  const send = (): void => {
    for (; sent < count && thread.client.hasCredit(1); sent += 1) thread.client.message(1, falseHeader(1, sent))
  }
  const thread = await startPrimaryThread({ directory: temporaryDirectory(), onCredit: () => send() })
  const taken = (): number =>
    thread.outputs
      .flatMap((output) => output.taken)
      .reduce((sum, { from, messages }) => sum + (from === 1 ? messages : 0), 0)
  thread.client.connected(1)
  send()
  await thread.client.batch('own-batch', batchOf(0, 1))
  thread.client.message(2, encodeHeader(headerOf(2)))
  await until('another one has its vote', () =>
    thread.outputs.some(({ sends }) => sends.some(({ bytes, to }) => kindOf(bytes) === 'vote' && to === 2)),
  )
  expect(taken()).toBeLessThan(count)
  await until('all of it was looked at', () => taken() === count)
  expect(refusalsIn(thread.outputs, 'signature-invalid')).toBeGreaterThan(0)
  expect(thread.died).toEqual([])
})

test('a certificate with a signature of ours that the store does not have ends the thread, by name', async () => {
  const directory = temporaryDirectory()
  const thread = await startPrimaryThread({ directory })
  const header = headerOf(1)
  const votes = [0, 2, 3].map((voter) => ({ voter, signature: voteOf(voter, header).signature }))
  thread.client.connected(1)
  thread.client.message(1, encodeCertificate({ header, votes }))
  await until('it died', () => thread.died.length > 0)
  expect(thread.died[0]).toMatchObject({ code: 'ERR_THREAD_DIED', cause: { code: 'ERR_KEY_USED_TWICE' } })
  // Its store is closed, and can be opened again.
  await (await startPrimaryThread({ directory, fresh: false })).close()
})

test('two threads do not share a store, and a batch that was not stored is not said to be', async () => {
  const directory = temporaryDirectory()
  const first = await startPrimaryThread({ directory })
  await expect(startPrimaryThread({ directory, fresh: false })).rejects.toMatchObject({ code: 'ERR_STORE_LOCKED' })
  const batch = first.client.batch('own-batch', batchOf(0, 1))
  const closing = first.close()
  await expect(batch).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await closing
  await expect(first.client.batch('own-batch', batchOf(0, 2))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
})
