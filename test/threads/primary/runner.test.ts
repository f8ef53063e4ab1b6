/** How turns are carried out, with a store and a primary that do as the test says. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PRIMARY_INBOUND_BYTES_MAX, PRIMARY_INBOUND_MESSAGES_MAX } from '../../../src/shared/constants.js'
import { NarvalError } from '../../../src/shared/errors.js'
import { Counters } from '../../../src/shared/memory/counters.js'
import type { PrimaryToMain } from '../../../src/shared/memory/dialogue/primary.js'
import { createPrimaryMemory } from '../../../src/shared/memory/primary-memory.js'
import { digestKey } from '../../../src/shared/wire/digest-key.js'
import { RECORD_BYTES_MAX } from '../../../src/shared/wire/primary/limits.js'
import type { PayloadEntry, Vertex } from '../../../src/threads/primary/consensus/types.js'
import { Inbox } from '../../../src/threads/primary/inbox.js'
import {
  BACKLOG_RECORDS,
  TURNS_WAITING_MAX,
  WASTED_VERIFICATIONS_BURST,
  WASTED_VERIFICATIONS_PER_S,
} from '../../../src/threads/primary/limits.js'
import { Outbox } from '../../../src/threads/primary/outbox.js'
import type { PrimaryStatus } from '../../../src/threads/primary/primary.js'
import { Runner } from '../../../src/threads/primary/runner.js'
import type { Write } from '../../../src/threads/primary/store/writes.js'
import { FRESH_STATE } from '../../../src/threads/primary/stored-state.js'
import type { PrimaryEvent, Turn } from '../../../src/threads/primary/turn.js'
import { VerificationBudget } from '../../../src/threads/primary/verification-budget.js'
import { batchOf } from '../../support/threads/primary-thread.js'
import { until } from '../../support/until.js'

const NOTHING: Turn = {
  writes: [],
  sends: [],
  workerRequests: [],
  refusals: [],
  notices: [],
  wakeAtMs: Number.POSITIVE_INFINITY,
}
const STATUS = { missingVotes: [1, 2], isRecovering: true, round: 7 } as unknown as PrimaryStatus

function runnerOf(turnOf: (event: PrimaryEvent) => Partial<Turn>) {
  const events: PrimaryEvent[] = []
  const posts: PrimaryToMain[] = []
  const ends: unknown[] = []
  const flushes: { writes: readonly Write[]; onDurable: () => void }[] = []
  const keys = { verified: 0, verifyMs: 0, signed: 0, signMs: 0 }
  const waits = { votes: [1], certificates: [1, 2], answers: [] as number[] }
  const budget = new VerificationBudget(4)
  const counters = new Counters(createPrimaryMemory().counters.primary, 'primary')
  const runner = new Runner({
    primary: {
      status: STATUS,
      bounds: { headersWaitingMax: 4, certificatesWantedMax: 5, payloadWantedMax: 6 },
      get waits() {
        return { ...waits }
      },
      start: () => NOTHING,
      reopen: () => NOTHING,
      handle: (event) => {
        events.push(event)
        return { ...NOTHING, ...turnOf(event) }
      },
    },
    store: {
      state: () => FRESH_STATE,
      get turnsWaiting() {
        return flushes.length
      },
      write: (writes, onDurable) => void flushes.push({ writes, onDurable }),
    },
    keys,
    budget,
    inbox: new Inbox(0, 4, budget),
    outbox: new Outbox((message) => posts.push(message)),
    counters,
    onEnd: (error) => ends.push(error),
  })
  runner.start()
  onTestFinished(() => runner.end())
  const sends = (): number[] => posts.flatMap((post) => post.sends.map(({ bytes }) => bytes[0]!))
  return { runner, events, posts, ends, flushes, keys, budget, counters, waits, sends }
}

const messageOf = (from: number, byte = 0): PrimaryEvent & { type: 'message' } => ({
  type: 'message',
  from,
  bytes: Uint8Array.of(byte),
})

test('while too many turns wait for the disk nothing is handled, and then all is', async () => {
  const { events, flushes, runner } = runnerOf(({ type }) =>
    type === 'others-batch' ? { writes: [{ type: 'collected', gcRound: 1 }] } : {},
  )
  const batches = Array.from({ length: TURNS_WAITING_MAX + 5 }, (_, n) => batchOf(1, n))
  const handled = (): number => events.filter(({ type }) => type === 'others-batch').length
  runner.push(batches.map((batch) => ({ type: 'others-batch', batch })))
  await until('as many as there may be are handled', () => handled() >= TURNS_WAITING_MAX)
  await sleep(50)
  expect(handled()).toBe(TURNS_WAITING_MAX)
  runner.push([{ type: 'peer-connected', peer: 1 }])
  await sleep(50)
  expect(events.some(({ type }) => type === 'peer-connected')).toBe(false)
  for (const { onDurable } of flushes.splice(0, 10)) onDurable()
  await until('the rest is handled', () => handled() === batches.length)
  expect(events.some(({ type }) => type === 'peer-connected')).toBe(true)
})

describe('a turn', () => {
  test('sends at once what promises nothing, and what bears our signature after the flush', async () => {
    const { flushes, posts, runner, sends } = runnerOf(() => ({
      writes: [{ type: 'collected', gcRound: 1 }],
      sends: [
        { to: 1, bytes: Uint8Array.of(1), afterDurable: true },
        { to: 'all', bytes: Uint8Array.of(2), afterDurable: false },
      ],
      workerRequests: [
        { type: 'committed', commits: [] },
        { type: 'synchronize', worker: 0, author: 1, digests: [new Uint8Array(32)] },
      ],
    }))
    runner.push([messageOf(1)])
    await until('it was posted', () => posts.length === 1)
    expect(sends()).toEqual([2])
    expect(posts[0]!.requests.map(({ type }) => type)).toEqual(['synchronize'])
    await sleep(50)
    expect(posts).toHaveLength(1)
    flushes[0]!.onDurable()
    await until('the rest was', () => posts.length === 2)
    expect(sends()).toEqual([2, 1])
    expect(posts[1]!.requests.map(({ type }) => type)).toEqual(['committed'])
  })

  test('without writes waits for the flush before it, if it sends what bears our signature', async () => {
    const { flushes, runner, sends } = runnerOf(() => ({
      sends: [{ to: 1, bytes: Uint8Array.of(9), afterDurable: true }],
    }))
    runner.push([messageOf(1)])
    await until('the store was asked', () => flushes.length === 1)
    expect(flushes[0]!.writes).toEqual([])
    expect(sends()).toEqual([])
    flushes[0]!.onDurable()
    await until('it was sent', () => sends().length === 1)
  })

  test('says that a batch is stored after the flush', async () => {
    const { flushes, posts, runner } = runnerOf(() => ({}))
    runner.push([{ type: 'own-batch', batch: batchOf(0, 1) }])
    await until('the store was asked', () => flushes.length === 1)
    expect(posts.reduce((sum, post) => sum + post.batchesStored, 0)).toBe(0)
    flushes[0]!.onDurable()
    await until('it is said', () => posts.at(-1)?.batchesStored === 1)
  })

  test('that stops the primary is the last, and its writes count', async () => {
    const stopped = new NarvalError('ERR_KEY_USED_TWICE', 'twice')
    const { ends, events, flushes, runner } = runnerOf(() => ({
      stopped,
      writes: [{ type: 'collected', gcRound: 1 }],
    }))
    runner.push([messageOf(1), messageOf(2)])
    await until('it ended', () => ends.length > 0)
    expect(ends).toEqual([stopped])
    expect(events).toHaveLength(1)
    expect(flushes).toHaveLength(1)
  })

  test('that throws ends the thread once', async () => {
    const { ends, runner } = runnerOf(() => {
      throw new Error('a bug')
    })
    runner.push([messageOf(1), messageOf(2)])
    await until('it ended', () => ends.length > 0)
    await sleep(50)
    expect(ends).toMatchObject([{ message: 'a bug' }])
  })
})

test('many events are one post, and a credit comes back for each message', async () => {
  const { events, posts, runner } = runnerOf((event) => ({
    refusals: event.type === 'message' ? [{ from: event.from, reason: 'round-old', detail: `${event.bytes[0]}` }] : [],
  }))
  runner.push([messageOf(1, 10), messageOf(1, 11), messageOf(2, 12)])
  await until('they were handled', () => events.length === 3)
  await until('it is posted', () => posts.length > 0)
  expect(posts).toHaveLength(1)
  expect(posts[0]!.taken).toEqual([
    { from: 1, messages: 2, bytes: 2 },
    { from: 2, messages: 1, bytes: 1 },
  ])
  expect(posts[0]!.refusals).toEqual([
    { from: 1, reason: 'round-old', count: 2, detail: '10' },
    { from: 2, reason: 'round-old', count: 1, detail: '12' },
  ])
})

test('what is posted has memory of its own, not the page that it was in', async () => {
  const page = new Uint8Array(4096)
  const { posts, runner } = runnerOf(() => ({ sends: [{ to: 1, bytes: page.subarray(8, 24), afterDurable: false }] }))
  runner.push([messageOf(1)])
  await until('it was posted', () => posts.length === 1)
  expect(posts[0]!.sends[0]!.bytes.buffer.byteLength).toBe(16)
})

test('the timer comes when the last turn said, and the event loop says how late it is', async () => {
  const dueMs = performance.now() + 30
  let wakeAtMs = dueMs
  let cameMs = 0
  const { counters, events, runner } = runnerOf((event) => {
    if (event.type === 'timer') {
      cameMs = performance.now()
      wakeAtMs = Number.POSITIVE_INFINITY
    }
    return { wakeAtMs }
  })
  runner.push([messageOf(1)])
  await until('it came', () => events.some(({ type }) => type === 'timer'))
  expect(cameMs).toBeGreaterThanOrEqual(dueMs)
  expect(events.filter(({ type }) => type === 'timer')).toHaveLength(1)
  const end = performance.now() + 500
  while (performance.now() < end);
  await until('it says the load', () => events.some((event) => event.type === 'load' && event.lagMs > 100))
  await until('it counts', () => counters.get('round') === 7)
  expect([counters.get('missingVotes'), counters.get('isRecovering')]).toEqual([2, 1])
})

describe('what the thread tells for metrics and health', () => {
  test('counters, with bounds and times, are there without any event', async () => {
    const { counters, keys } = runnerOf(() => ({}))
    Object.assign(keys, { verified: 3, verifyMs: 0.5, signed: 2, signMs: 0.25 })
    await until('it has counted', () => counters.get('verified') === 3)
    expect(counters.get('verifyMs')).toBe(0.5)
    expect(counters.get('signMs')).toBe(0.25)
    expect([counters.get('headersWaitingMax'), counters.get('payloadWantedMax')]).toEqual([4, 6])
  })

  test('whom it waits for is said when that changes, and not again', async () => {
    const { events, posts, waits } = runnerOf(() => ({}))
    const said = () => posts.flatMap(({ notices }) => notices)
    const looks = () => events.filter(({ type }) => type === 'load').length
    await until('it was said', () => said().length === 1)
    const before = looks()
    await until('it has looked again', () => looks() > before + 2)
    expect(said()).toEqual([{ type: 'waits', votes: [1], certificates: [1, 2], answers: [] }])
    waits.votes = [3]
    await until('the change was said', () => said().length === 2)
    expect(said()[1]).toEqual({ type: 'waits', votes: [3], certificates: [1, 2], answers: [] })
  })
})

describe('a commit', () => {
  test('names for each batch the header that lists it, and leaves out what is repeated', async () => {
    const entryOf = (author: number, sequence: number) => {
      const { digest, ...rest } = batchOf(author, sequence)
      return { ...rest, digest: digestKey(digest) }
    }
    const vertexOf = (author: number, round: number, payload: readonly PayloadEntry[]): Vertex => {
      const header = { author, round, id: '', parents: [], createdAt: 0, payload }
      return { author, round, digest: '', parents: 0n, certificate: { digest: '', header } }
    }
    const [a, b, again, c] = [entryOf(1, 1), entryOf(1, 2), entryOf(1, 1), entryOf(2, 1)]
    const vertices = [vertexOf(1, 4, [a, b]), vertexOf(1, 5, [again]), vertexOf(3, 5, [c])]
    const commit = { index: 7, timestamp: 9, anchor: vertices[2]!, vertices, batches: [a, b, c], runChanges: [] }
    const { flushes, posts, runner } = runnerOf(({ type }) =>
      type === 'message' ? { workerRequests: [{ type: 'committed', commits: [commit] }] } : {},
    )
    runner.push([messageOf(1)])
    await until('it is written', () => flushes.length > 0)
    for (const { onDurable } of flushes) onDurable()
    await until('it is told', () => posts.some(({ requests }) => requests.length > 0))
    const [request] = posts.flatMap(({ requests }) => requests)
    expect(request).toEqual({
      type: 'committed',
      commits: [
        {
          index: 7,
          timestamp: 9,
          certificates: 3,
          batches: [
            { digest: batchOf(1, 1).digest, author: 1, worker: 0, round: 4, proposer: 1 },
            { digest: batchOf(1, 2).digest, author: 1, worker: 0, round: 4, proposer: 1 },
            { digest: batchOf(2, 1).digest, author: 2, worker: 0, round: 5, proposer: 3 },
          ],
        },
      ],
    })
  })
})

test('the primary is told when a peer has a backlog, and when it is over', async () => {
  const { events, runner } = runnerOf(() => ({}))
  runner.push(
    Array.from({ length: 2 * BACKLOG_RECORDS }, () => ({ type: 'message', from: 3, bytes: new Uint8Array(1) })),
  )
  const backlogs = (): unknown[] => events.flatMap((event) => (event.type === 'backlog' ? [event.peers] : []))
  await until('it is over', () => backlogs().length === 2)
  expect(backlogs()).toEqual([[3], []])
  expect(events.find(({ type }) => type !== 'load')).toMatchObject({ type: 'backlog' })
})

describe('a peer whose signatures lead to nothing', () => {
  test('waits, while others are served; useful verifications cost nothing', async () => {
    let refuse = true
    const { budget, counters, events, keys, runner } = runnerOf((event) => {
      if (event.type !== 'message') return {}
      keys.verified += WASTED_VERIFICATIONS_BURST + WASTED_VERIFICATIONS_PER_S
      return refuse ? { refusals: [{ from: event.from, reason: 'signature-invalid', detail: '' }] } : {}
    })
    runner.push([messageOf(1), messageOf(1), messageOf(2)])
    await until('all but one were handled', () => events.filter(({ type }) => type === 'message').length === 2)
    expect(events.filter(({ type }) => type === 'message')).toMatchObject([{ from: 1 }, { from: 2 }])
    expect(counters.get('throttled')).toBe(2)
    refuse = false
    runner.push([messageOf(3), messageOf(3)])
    await until(
      'the third is served twice',
      () => events.filter((event) => 'from' in event && event.from === 3).length === 2,
    )
    expect(budget.waitMs(3, performance.now())).toBe(0)
    await until('its turn comes', () => events.filter((event) => 'from' in event && event.from === 1).length === 2)
  })

  test('pays for what it cost more than it had, and saves up no more than the burst', () => {
    const budget = new VerificationBudget(2)
    budget.spend(1, WASTED_VERIFICATIONS_BURST - 1, 0)
    expect(budget.waitMs(1, 0)).toBe(0)
    budget.spend(1, 1 + WASTED_VERIFICATIONS_PER_S, 0)
    const waitMs = budget.waitMs(1, 0)
    expect(waitMs).toBeGreaterThan(1000)
    expect(budget.waitMs(1, waitMs)).toBe(0)
    expect(budget.waitMs(0, 0)).toBe(0)
    budget.spend(1, WASTED_VERIFICATIONS_BURST, 1e9)
    expect(budget.waitMs(1, 1e9)).toBeGreaterThan(0)
  })
})

describe('the inbox', () => {
  test('takes one of each in turn, and keeps the order of each', () => {
    const inbox = new Inbox(0, 4, new VerificationBudget(4))
    inbox.push(messageOf(1, 1))
    inbox.push(messageOf(1, 2))
    inbox.push({ type: 'peer-disconnected', peer: 1 })
    inbox.push(messageOf(3, 3))
    inbox.push({ type: 'own-batch', batch: batchOf(0, 1) })
    const taken = Array.from({ length: 6 }, () => inbox.take(0))
    expect(taken.map((input) => input && ('bytes' in input ? input.bytes[0] : input.type))).toEqual([
      'own-batch',
      1,
      3,
      2,
      'peer-disconnected',
      undefined,
    ])
    expect(inbox.waitMs(0)).toBe(Number.POSITIVE_INFINITY)
  })

  test('has a backlog of a peer from so many records on, until half of them are handled', () => {
    const inbox = new Inbox(0, 4, new VerificationBudget(4))
    const push = (from: number): void => inbox.push({ type: 'message', from, bytes: new Uint8Array(1) })
    for (let count = 1; count < BACKLOG_RECORDS; count += 1) push(2)
    expect(inbox.backlog).toEqual([])
    push(2)
    const { backlog } = inbox
    expect(backlog).toEqual([2])
    while (inbox.size > BACKLOG_RECORDS / 2) inbox.take(0)
    expect(inbox.backlog).toBe(backlog)
    inbox.take(0)
    expect(inbox.backlog).toEqual([])
  })

  test('holds of a peer what its credits allow', () => {
    const inbox = new Inbox(0, 4, new VerificationBudget(4))
    for (let count = 0; count < PRIMARY_INBOUND_MESSAGES_MAX; count += 1) inbox.push(messageOf(1))
    expect(() => inbox.push(messageOf(1))).toThrow(/credits/)
    expect(() => inbox.push(messageOf(2))).not.toThrow()
    // Beyond the bytes by one message at most.
    const large = { ...messageOf(3), bytes: new Uint8Array(RECORD_BYTES_MAX) }
    for (let bytes = 0; bytes < PRIMARY_INBOUND_BYTES_MAX; bytes += RECORD_BYTES_MAX) inbox.push(large)
    expect(() => inbox.push(messageOf(3))).toThrow(/credits for its bytes/)
  })
})
