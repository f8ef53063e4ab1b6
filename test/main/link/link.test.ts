/** The link between a worker and its own primary in two processes: both ends over real libp2p, with played ones behind them. */
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { GcRelief } from '../../../src/main/lib/gc-relief.js'
import { unsupervised } from '../../../src/main/lib/supervisor.js'
import { LINK_READS_MAX, LINK_REPORTS_MAX } from '../../../src/main/link/limits.js'
import { LinkListener, type LinkListenerOptions } from '../../../src/main/link/link-listener.js'
import { RemotePrimary, type RemotePrimaryOptions } from '../../../src/main/link/remote-primary.js'
import type { AttachingLink } from '../../../src/main/link/worker-session.js'
import { HostNames } from '../../../src/main/names/host-names.js'
import { createLibp2pNode, peerIdOfSeed } from '../../../src/main/network/libp2p-node.js'
import { LINK_PROTOCOL } from '../../../src/main/network/protocols.js'
import type {
  AttachedWorker,
  CommitPlace,
  OrderedWorker,
  StoreState,
} from '../../../src/main/worker/primary-link/ordering-primary.js'
import { type Committee, committeeDigest, parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { deriveLinkKeySeed, deriveNetworkKeySeed } from '../../../src/shared/config/network-key.js'
import { encodeFrameOf } from '../../../src/shared/wire/frames.js'
import { encodeFromWorker, type FromWorker, LINK_VERSION } from '../../../src/shared/wire/link/messages.js'
import type { BatchReport } from '../../../src/shared/wire/primary-messages.js'
import { freePorts } from '../../support/free-ports.js'
import { until } from '../../support/until.js'

const keys = [1, 2]
  .map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
const own = keys[0]!
const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').slice(0, 4)

async function newCommittee(): Promise<Committee> {
  const names = keys.map(({ name }) => name)
  return parseCommittee(localCommittee(names, 2, await freePorts(16)), 'test')
}

function report(byte: number, more: Partial<BatchReport> = {}): BatchReport {
  return { type: 'OurBatch', digest: digest(byte), workerId: 0, author: own.publicKey, sequence: BigInt(byte), ...more }
}

/** In the place of the WorkerLink: takes reports, and its store has them when the test says so. */
class PlayedLink implements AttachingLink {
  readonly taken: string[] = []
  readonly stores: string[] = []
  worker: OrderedWorker | undefined
  isFull = false
  /** Ends of the promises of reports that are not in the store. */
  readonly storing: (() => void)[] = []
  isStored = true
  attached = 0
  sequencesAfter = Promise.resolve(0n)
  replay: (worker: OrderedWorker) => Promise<void> = async () => {}

  readonly onMessage = ({ author, digest, isDelivered, sequence, type }: BatchReport): Promise<void> => {
    const index = keys.findIndex(({ publicKey }) => Buffer.compare(publicKey, author) === 0)
    this.taken.push(`${type} ${hex(digest)} ${index} ${sequence}${isDelivered ? ' delivered' : ''}`)
    if (this.isStored) return Promise.resolve()
    return new Promise((resolve) => this.storing.push(resolve))
  }

  attach(worker: OrderedWorker) {
    expect(this.worker, 'one at a time').toBeUndefined()
    this.worker = worker
    this.attached += 1
    this.stores.push(`${hex(worker.storeId)} ${worker.applied} ${worker.isSettled}`)
    const isFull = (): boolean => this.isFull
    return {
      get isFull() {
        return isFull()
      },
      isConnected: true,
      sequencesAfter: this.sequencesAfter,
      replayed: this.replay(worker),
      close: async () => {
        this.worker = undefined
      },
    }
  }
}

/** The worker behind its end. */
class PlayedWorker implements AttachedWorker {
  storeId = new Uint8Array(16).fill(5)
  applied = 3
  isSettled = false
  isNew = false
  readonly supervisor = unsupervised
  readonly heard: string[] = []
  readonly batches = new Map<string, Uint8Array>()
  /** Ends of writes that the store has not made. */
  readonly writing: (() => void)[] = []
  isWritten = true

  commitState = async (): Promise<StoreState> => ({
    storeId: this.storeId,
    applied: this.applied,
    isSettled: this.isSettled,
    isNew: this.isNew,
  })
  committed(digests: readonly Uint8Array[], place?: CommitPlace): Promise<void> {
    this.heard.push(`committed ${digests.map(hex).join(' ')} ${JSON.stringify(place) ?? ''}`.trim())
    if (this.isWritten) return Promise.resolve()
    return new Promise((resolve) => this.writing.push(resolve))
  }
  firstKept = (): number => 7
  named(digests: readonly Uint8Array[], isAnew: boolean): void {
    this.heard.push(`named ${isAnew} ${digests.map(hex).join(' ')}`.trim())
  }
  unnamed = (digests: readonly Uint8Array[]): void => void this.heard.push(`unnamed ${digests.map(hex).join(' ')}`)
  onCommits = (): void => void this.heard.push('commits')
  onGap = (): void => void this.heard.push('gap')
  onConnection = (): void => {}
  onRefused = (reason: string): void => void this.heard.push(`refused ${reason}`)
  synchronize(digests: readonly Uint8Array[], author: number): void {
    this.heard.push(`synchronize ${digests.map(hex).join(' ')} of ${author}`)
  }
  read = async (wanted: Uint8Array) => {
    const bytes = this.batches.get(hex(wanted))
    return bytes && { author: keys[1]!.publicKey, bytes }
  }
}

const names = (): HostNames => new HostNames({ supervisor: unsupervised })

interface Primary {
  readonly listener: LinkListener
  readonly links: readonly PlayedLink[]
  readonly refusals: string[]
  readonly lines: string[]
}

async function startListener(
  committee: Committee,
  links = [new PlayedLink(), new PlayedLink()],
  more: Partial<LinkListenerOptions> = {},
): Promise<Primary> {
  const [refusals, lines]: [string[], string[]] = [[], []]
  const say = (text: string): void => void lines.push(text)
  const listener = new LinkListener(
    { keys: own, committee, ownIndex: 0, listen: committee.primary(0).workerToPrimary, ...more },
    {
      gcRelief: new GcRelief(),
      links: new Map(links.entries()),
      log: { error: say, warn: say, info: say, debug() {}, trace() {} },
      names: names(),
      supervisor: unsupervised,
    },
    {
      onRefused: (reason) => void refusals.push(reason),
      onWorkerRefused: (reason, id) => void refusals.push(`${reason} ${id}`),
    },
  )
  await listener.listen()
  onTestFinished(() => listener.close())
  return { listener, links, refusals, lines }
}

function startRemote(
  committee: Committee,
  workerId = 0,
  worker = new PlayedWorker(),
  more: Partial<RemotePrimaryOptions> = {},
) {
  const lines: string[] = []
  const closing = new AbortController()
  const say = (text: string): void => void lines.push(text)
  const remote = new RemotePrimary(
    { keys: own, committee, ownIndex: 0, workerId, ...more },
    {
      gcRelief: new GcRelief(),
      log: { error: say, warn: say, info: say, debug() {}, trace() {} },
      names: names(),
      supervisor: unsupervised,
      signal: closing.signal,
    },
  )
  const link = remote.attach(worker)
  onTestFinished(() => link.close())
  return { remote, worker, link, lines, closing }
}

/** A program that has our key of a worker, or another one, and says what it likes. */
async function dial(committee: Committee, seed = deriveLinkKeySeed(own.seed, 0)) {
  const node = await createLibp2pNode({ networkKeySeed: seed, authorities: 1, admits: () => false })
  await node.start()
  onTestFinished(() => node.stop())
  const peerId = await peerIdOfSeed(deriveLinkKeySeed(own.seed, 'primary'))
  const { host, port } = committee.primary(0).workerToPrimary
  const connection: Connection = await node.dial(multiaddr(`/ip4/${host}/tcp/${port}/p2p/${peerId}`))
  const stream = await connection.newStream([LINK_PROTOCOL])
  const say = (message: FromWorker | Uint8Array): void =>
    void stream.send(encodeFrameOf('link', message instanceof Uint8Array ? message : encodeFromWorker(message)))
  return { say, stream, connection }
}

function openOf(committee: Committee, more: Partial<Extract<FromWorker, { type: 'open' }>> = {}): FromWorker {
  const version = LINK_VERSION
  const storeId = new Uint8Array(16).fill(8)
  const digest = committeeDigest(committee)
  return { type: 'open', version, workerId: 0, committeeDigest: digest, storeId, applied: 0, isSettled: true, ...more }
}

test('reports come with author and sequence, each once and in order, and are delivered when the primary’s store has them', async () => {
  const committee = await newCommittee()
  const { links } = await startListener(committee)
  const [link] = links
  link!.isStored = false
  const { remote } = startRemote(committee)
  const delivered: number[] = []
  const told = [
    report(1),
    report(2, { type: 'OthersBatch', author: keys[1]!.publicKey, sequence: 2n ** 63n, isDelivered: true }),
    report(3),
  ]
  const all = told.map((one, index) => remote.onMessage(one).then(() => delivered.push(index)))
  await until('they are taken', () => link!.taken.length === 3)
  expect(link!.taken).toEqual(['OurBatch 0101 0 1', `OthersBatch 0202 1 ${2n ** 63n} delivered`, 'OurBatch 0303 0 3'])
  expect(link!.stores).toEqual(['0505 3 false'])
  // Only the first is on the disk.
  link!.storing.shift()!()
  await until('the first is delivered', () => delivered.length === 1)
  expect(delivered).toEqual([0])
  for (const store of link!.storing) store()
  await Promise.all(all)
  expect(delivered).toEqual([0, 1, 2])
})

test('what the primary’s store did not have when the link was cut is told again, on the next link and in order', async () => {
  const committee = await newCommittee()
  const first = await startListener(committee)
  first.links[0]!.isStored = false
  const { link: end, lines, remote, worker } = startRemote(committee)
  const delivered: number[] = []
  const all = [1, 2, 3].map((byte) => remote.onMessage(report(byte)).then(() => delivered.push(byte)))
  await until('they are taken', () => first.links[0]!.taken.length === 3)
  first.links[0]!.storing.shift()!()
  await until('one is delivered', () => delivered.length === 1)
  await first.listener.close()
  await until('it is lost', () => !end.isConnected)
  const while_away = remote.onMessage(report(4))
  // A primary that comes back is told where the worker's store is now.
  worker.applied = 9
  const second = await startListener(committee)
  await Promise.all([...all, while_away])
  expect(second.links[0]!.taken).toEqual(['OurBatch 0202 0 2', 'OurBatch 0303 0 3', 'OurBatch 0404 0 4'])
  expect(second.links[0]!.stores).toEqual(['0505 9 false'])
  // It may be another primary, or its store another one: all that no commit has is told again, once the log is known.
  await until('it is told again', () => worker.heard.includes('gap'))
  expect(worker.heard.filter((one) => one === 'gap')).toHaveLength(1)
  expect(lines.filter((line) => line.startsWith('Lost our primary'))).toHaveLength(1)
})

test('what is committed goes to the worker’s store, and the log is read on when the store has it', async () => {
  const committee = await newCommittee()
  const links = [new PlayedLink(), new PlayedLink()]
  const applied: number[] = []
  links[0]!.replay = async (worker) => {
    await worker.committed([digest(1), digest(2)], { partOf: 4 })
    applied.push(1)
    await worker.committed([digest(3)], { applied: 4 })
    applied.push(2)
    worker.onCommits()
  }
  await startListener(committee, links)
  const { link, worker } = startRemote(committee)
  worker.isWritten = false
  let hasReplayed = false
  void link.replayed.then(() => {
    hasReplayed = true
  })
  await until('the first is there', () => worker.heard.length === 1)
  expect(worker.heard).toEqual(['committed 0101 0202 {"partOf":4}'])
  expect([applied, hasReplayed]).toEqual([[], false])
  worker.writing.shift()!()
  await until('the second is there', () => worker.writing.length === 1)
  worker.writing.shift()!()
  await link.replayed
  expect(worker.heard).toEqual(['committed 0101 0202 {"partOf":4}', 'committed 0303 {"applied":4}', 'commits'])
  // The first time the worker's own recovery tells what is not committed.
  expect(worker.heard).not.toContain('gap')
})

test('a write of commits that the link does not outlive counts for nothing at the primary', async () => {
  const committee = await newCommittee()
  const links = [new PlayedLink(), new PlayedLink()]
  let after: string | undefined
  links[0]!.replay = async (worker) => {
    await worker.committed([digest(1)], { applied: 4 })
    after = links[0]!.worker === undefined ? 'detached' : 'attached'
  }
  const { listener } = await startListener(committee, links)
  const { worker } = startRemote(committee)
  worker.isWritten = false
  await until('it is there', () => worker.heard.length === 1)
  await listener.close()
  await until('it goes on', () => after !== undefined)
  // Whoever reads the log is told to end before it is let go.
  expect(after).toBe('detached')
  for (const write of worker.writing) write()
})

test('requests, room and answers of batches go over it', async () => {
  const committee = await newCommittee()
  const { links, lines, listener, refusals } = await startListener(committee)
  const { lines: of, link, worker } = startRemote(committee, 1)
  await until('it is attached', () => links[1]!.worker !== undefined && link.isConnected)
  expect([listener.state(0).isConnected, listener.state(1).isConnected]).toEqual([false, true])
  links[1]!.worker!.synchronize([digest(6), digest(7)], 1)
  const many = Array.from({ length: 3_000 }, (_, index) => digest(index % 250))
  await links[1]!.worker!.committed(many)
  await until('they are there', () => worker.heard.length >= 4)
  expect(worker.heard[0]).toBe('synchronize 0606 0707 of 1')
  expect(worker.heard.slice(1).map((one) => one.split(' ').length - 1)).toEqual([1024, 1024, 952])
  links[1]!.isFull = true
  await until('the worker seals no more', () => link.isFull)
  links[1]!.isFull = false
  await until('it seals again', () => !link.isFull)
  // More at a time than the worker answers at a time, and larger than a message.
  for (let byte = 1; byte <= 20; byte += 1) worker.batches.set(hex(digest(byte)), new Uint8Array(500_000).fill(byte))
  const wanted = Array.from({ length: 21 }, (_, index) => listener.read(1, digest(index + 1)))
  const found = await Promise.all(wanted)
  expect([refusals, lines.slice(1), of.slice(1)]).toEqual([[], [], []])
  expect(found.map((batch) => batch && [batch.bytes.length, batch.bytes[499_999]])).toEqual([
    ...Array.from({ length: 20 }, (_, index) => [500_000, index + 1]),
    undefined,
  ])
  expect(found[0]!.author).toEqual(keys[1]!.publicKey)
  expect(await listener.read(0, digest(1)), 'worker 0 is not there').toBeUndefined()
})

test('a read whose link ends before the answer is told that it is not there', async () => {
  const committee = await newCommittee()
  const { links, listener } = await startListener(committee)
  const { link, worker } = startRemote(committee)
  await until('it is attached', () => links[0]!.worker !== undefined && link.isConnected)
  const answers: (() => void)[] = []
  worker.read = () => new Promise((resolve) => answers.push(() => resolve(undefined)))
  const reads = Array.from({ length: 9 }, () => listener.read(0, digest(1)))
  await until('it is asked', () => answers.length === LINK_READS_MAX)
  await listener.close()
  expect(await Promise.all(reads)).toEqual(Array.from({ length: 9 }, () => undefined))
  for (const answer of answers) answer()
})

test('nobody but our own workers gets in: not another authority’s, not one of ours by its network key', async () => {
  const committee = await newCommittee()
  const { links, refusals } = await startListener(committee)
  for (const seed of [
    deriveLinkKeySeed(keys[1]!.seed, 0),
    deriveNetworkKeySeed(own.seed, 0),
    deriveLinkKeySeed(own.seed, 2),
    deriveLinkKeySeed(own.seed, 'primary'),
  ]) {
    const before = refusals.length
    await expect(dial(committee, seed)).rejects.toThrow()
    // A node does not dial itself.
    if (Buffer.compare(seed, deriveLinkKeySeed(own.seed, 'primary')) === 0) continue
    await until('it is counted', () => refusals.slice(before).includes('peer-id-unknown'))
  }
  expect(links.map(({ attached }) => attached)).toEqual([0, 0])
})

test('a worker takes nobody for its primary but who has its key', async () => {
  const committee = await newCommittee()
  const { host, port } = committee.primary(0).workerToPrimary
  const impostor = await createLibp2pNode({
    networkKeySeed: new Uint8Array(32).fill(9),
    listen: { host, port },
    authorities: 1,
    admits: () => true,
  })
  let opened = 0
  await impostor.handle(LINK_PROTOCOL, () => {
    opened += 1
  })
  await impostor.start()
  onTestFinished(() => impostor.stop())
  const { lines, link } = startRemote(committee)
  await until('it says so', () => lines.some((line) => line.startsWith('Cannot reach our primary')))
  expect([opened, link.isConnected]).toEqual([0, false])
})

const BAD: readonly (readonly [string, string, (committee: Committee) => (FromWorker | Uint8Array)[]])[] = [
  ['no message', 'link-malformed', () => [new Uint8Array([200])]],
  ['an empty message', 'link-malformed', () => [new Uint8Array(0)]],
  ['a message that is cut off', 'link-malformed', (c) => [encodeFromWorker(openOf(c) as FromWorker).subarray(0, 30)]],
  ['a report before it has opened', 'link-unexpected', () => [reportMessage(1)]],
  ['a second open', 'link-unexpected', (c) => [openOf(c), openOf(c)]],
  ['applied where nothing was committed', 'link-unexpected', (c) => [openOf(c), { type: 'applied', count: 1 }]],
  ['an answer that nobody asked for', 'link-unexpected', (c) => [openOf(c), { type: 'absent', firstKept: 0, id: 0 }]],
  ['another committee', 'link-wrong-committee', (c) => [openOf(c, { committeeDigest: digest(1) })]],
  ['the id of another worker', 'link-wrong-worker', (c) => [openOf(c, { workerId: 1 })]],
  ['an author that the committee does not have', 'link-malformed', (c) => [openOf(c), badAuthor()]],
]

function reportMessage(byte: number): FromWorker {
  return { type: 'report', isOwn: true, isDelivered: false, author: 0, sequence: BigInt(byte), digest: digest(byte) }
}

function badAuthor(): Uint8Array {
  return encodeFromWorker({ ...reportMessage(1), author: 2 } as FromWorker)
}

test.each(BAD)('%s ends the link, and is counted as %s', async (_, reason, messages) => {
  const committee = await newCommittee()
  const { links, refusals } = await startListener(committee)
  const { say, stream } = await dial(committee)
  for (const message of messages(committee)) {
    say(message)
    // A message at a time, as a worker has it.
    await until('it is taken', () => refusals.length > 0 || links[0]!.worker !== undefined)
  }
  await until(`it is refused: ${refusals}`, () => refusals.includes(`${reason} 0`))
  await until('the stream is gone', () => stream.status !== 'open')
  await until('it is detached', () => links[0]!.worker === undefined)
  // Others are served.
  const { remote } = startRemote(committee, 1)
  await remote.onMessage(report(1))
  expect(links[1]!.taken).toHaveLength(1)
})

test('another version is told so, and is no malformed message', async () => {
  const committee = await newCommittee()
  const { refusals } = await startListener(committee)
  const { say } = await dial(committee)
  const open = encodeFromWorker(openOf(committee))
  open[1] = LINK_VERSION + 1
  say(open)
  await until('it is refused', () => refusals.includes('link-version 0'))
})

test('more reports than may be under way end the link', async () => {
  const committee = await newCommittee()
  const { links, refusals } = await startListener(committee)
  links[0]!.isStored = false
  const { say } = await dial(committee)
  say(openOf(committee))
  await until('it is open', () => links[0]!.worker !== undefined)
  for (let number = 0; number < LINK_REPORTS_MAX; number += 1) say(reportMessage(number % 250))
  await until('all are taken', () => links[0]!.taken.length === LINK_REPORTS_MAX)
  expect(refusals).toEqual([])
  say(reportMessage(1))
  await until('one more is refused', () => refusals.includes('link-unexpected 0'))
  expect(links[0]!.taken).toHaveLength(LINK_REPORTS_MAX)
})

test('a second process of a worker is refused while the first one lives, is told so, and takes its place when it is gone', async () => {
  const committee = await newCommittee()
  const { links, listener, refusals } = await startListener(committee)
  const first = startRemote(committee)
  await until('the first is linked', () => first.link.isConnected)
  const second = startRemote(committee)
  const told = (): boolean =>
    second.lines.some((line) => line.includes('already-linked: another process runs as worker 0'))
  await until(() => `the second is told: ${second.lines}`, told)
  expect(second.link.remote!.refusal()).toContain('end one of the two')
  expect(refusals).toContain('already-linked 0')
  // It makes no batches that nobody would order.
  expect([first.link.isFull, second.link.isFull]).toEqual([false, true])
  expect(listener.state(0)).toMatchObject({ isConnected: true, reports: 0 })
  await first.remote.onMessage(report(1))
  expect([links[0]!.attached, first.link.isConnected, first.lines.length]).toEqual([1, true, 1])
  await first.link.close()
  await second.remote.onMessage(report(2))
  expect([links[0]!.attached, second.link.remote!.refusal(), second.link.isFull]).toEqual([2, undefined, false])
})

test('a worker that comes again when its link fell silent, without an end, has it again', async () => {
  const committee = await newCommittee()
  const { links, refusals } = await startListener(committee, undefined, { silenceMs: 2_500 })
  const before = await dial(committee)
  before.say(openOf(committee))
  await until('it is attached', () => links[0]!.attached === 1)
  const { lines, remote } = startRemote(committee)
  await remote.onMessage(report(1))
  expect(refusals).toEqual(['link-silent 0'])
  expect(links[0]!.stores).toEqual(['0808 0 true', '0505 3 false'])
  expect(lines.filter((line) => line.includes('refuses'))).toEqual([])
})

test('of those that wait for a link, the newest does', async () => {
  const committee = await newCommittee()
  const { links, refusals } = await startListener(committee)
  const holder = await dial(committee)
  holder.say(openOf(committee))
  await until('it is attached', () => links[0]!.attached === 1)
  const newcomers = [await dial(committee), await dial(committee)]
  for (const { say } of newcomers) say(openOf(committee))
  const open = () => newcomers.filter(({ stream }) => stream.status === 'open')
  await until('one has gone', () => refusals.includes('link-replaced 0') && open().length === 1)
  // Only pings are due until it is opened.
  open()[0]!.say(reportMessage(1))
  await until('it is refused', () => refusals.includes('link-unexpected 0'))
  expect([links[0]!.attached, holder.stream.status]).toEqual([1, 'open'])
})

test('a second link on one connection ends it', async () => {
  const committee = await newCommittee()
  const { links, refusals } = await startListener(committee)
  const { connection, say } = await dial(committee)
  say(openOf(committee))
  await until('it is attached', () => links[0]!.worker !== undefined)
  await connection.newStream([LINK_PROTOCOL])
  await until('it is refused', () => refusals.includes('link-unexpected 0'))
  await until('it is detached', () => links[0]!.worker === undefined)
})

test('a connection with the key of a worker that opens no link is closed in time', async () => {
  const committee = await newCommittee()
  const { refusals } = await startListener(committee)
  const { connection, say } = await dial(committee)
  // However much it says that it is there.
  const timer = setInterval(() => say({ type: 'ping' }), 300)
  onTestFinished(() => clearInterval(timer))
  await until('it is closed', () => connection.status !== 'open')
  expect(refusals).toEqual(['hello-timeout'])
})

test('a worker whose store is new waits until its primary has said which sequences were used; another one does not', async () => {
  const committee = await newCommittee()
  const fresh = new PlayedWorker()
  fresh.isNew = true
  const waiting = startRemote(committee, 0, fresh)
  const used = startRemote(committee, 1)
  expect(await used.link.sequencesAfter).toBe(0n)
  await until('it says what it waits for', () => waiting.lines.some((line) => line.startsWith('The store is new')))
  const links = [new PlayedLink(), new PlayedLink()]
  links[0]!.sequencesAfter = Promise.resolve(2n ** 61n)
  // What its log says at once comes behind that.
  links[0]!.replay = (worker) => worker.committed([digest(1)], { applied: 4 })
  await startListener(committee, links)
  expect(await waiting.link.sequencesAfter).toBe(2n ** 61n)
  await waiting.link.replayed
  expect(fresh.heard).toEqual(['committed 0101 {"applied":4}'])
})

test('a primary that says that it is there and opens nothing is not waited for', async () => {
  const committee = await newCommittee()
  const links = [new PlayedLink(), new PlayedLink()]
  links[0]!.sequencesAfter = new Promise(() => {})
  await startListener(committee, links)
  const { link, worker } = startRemote(committee, 0, undefined, { openMs: 1_500 })
  await until('it has begun anew', () => links[0]!.attached === 2)
  expect([worker.heard, link.isConnected]).toEqual([['refused link-not-opened'], false])
  links[0]!.sequencesAfter = Promise.resolve(0n)
  await until('the link is open', () => link.isConnected)
})

test('a worker that waits for its primary can be closed', async () => {
  const fresh = new PlayedWorker()
  fresh.isNew = true
  const { closing, link, lines } = startRemote(await newCommittee(), 0, fresh)
  await until('it waits', () => lines.length > 0)
  closing.abort()
  await expect(link.sequencesAfter).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  await link.close()
})
