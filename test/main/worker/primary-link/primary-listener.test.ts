import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Supervisor } from '../../../../src/main/lib/supervisor.js'
import { HostNames } from '../../../../src/main/names/host-names.js'
import { NAME_FRESH_MS } from '../../../../src/main/names/limits.js'
import {
  FOREIGN_PRIMARY_FRAME_BYTES_MAX,
  FOREIGN_SYNCHRONIZE_PER_SECOND,
  OWN_PRIMARY_CONNECTIONS_MAX,
  SOURCE_CONNECTIONS_MAX,
  STRANGER_SYNCHRONIZE_PER_SECOND,
} from '../../../../src/main/worker/primary-link/limits.js'
import { PrimaryInbox, type PrimarySender } from '../../../../src/main/worker/primary-link/primary-inbox.js'
import {
  PrimaryListener,
  type PrimaryListenerOptions,
} from '../../../../src/main/worker/primary-link/primary-listener.js'
import { judge, normalHost, primaryHosts } from '../../../../src/main/worker/primary-link/primary-trust.js'
import { Committee, parseCommittee } from '../../../../src/shared/config/committee.js'
import { localCommittee } from '../../../../src/shared/config/committee-file.js'
import { PUSH_AGAIN_QUEUE_MAX, REFERENCE_FRAME_BYTES_MAX, SYNC_PENDING_MAX } from '../../../../src/shared/constants.js'
import { NarvalError } from '../../../../src/shared/errors.js'
import type { PrimaryRefusal } from '../../../../src/shared/refusals.js'
import { encodePrimaryWorkerMessage, type PrimaryWorkerMessage } from '../../../../src/shared/wire/primary-messages.js'
import { encodeFrame } from '../../../../src/shared/wire/reference-frame.js'
import { fromHex, toHex, vectors } from '../../../support/reference-vectors.js'

const names = vectors.keys.map((key) => key.name_base64)
const committee = parseCommittee(localCommittee(names, 1, 4000), 'test')
const OWN = 1
const OTHER = 2
const STRANGER = '127.0.0.2'
const key = (index: number): Uint8Array => committee.authority(index).publicKey
const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

const OURS: PrimarySender = { from: 'test', source: 'ours', isOwnPrimary: true, isStranger: false }
const stranger = (source: string): PrimarySender => ({ from: 'test', source, isOwnPrimary: false, isStranger: true })

const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 30_000, interval: 5 })

const frameOf = (message: PrimaryWorkerMessage): Uint8Array => encodeFrame(encodePrimaryWorkerMessage(message))
const cleanup = (round: bigint): Uint8Array => frameOf({ type: 'Cleanup', round })
const synchronize = (digests: readonly Uint8Array[], target: Uint8Array): Uint8Array =>
  frameOf({ type: 'Synchronize', digests, target })

interface Recorder {
  readonly synchronized: { digests: string[]; target: number; source: string }[]
  readonly rounds: bigint[]
  readonly refused: { reason: PrimaryRefusal; from: string; detail: string }[]
}

function recorder() {
  const record: Recorder = { synchronized: [], rounds: [], refused: [] }
  return {
    ...record,
    handlers: {
      onSynchronize: (digests: readonly Uint8Array[], target: number, source: string) =>
        void record.synchronized.push({ digests: digests.map(toHex), target, source }),
      onCleanup: (round: bigint) => void record.rounds.push(round),
      onRefused: (reason: PrimaryRefusal, from: string, detail: string) =>
        void record.refused.push({ reason, from, detail }),
    },
  }
}

/** A listener on a free port; our primary's address is 127.0.0.1. */
async function listen(options: Partial<PrimaryListenerOptions> = {}, more: { names?: HostNames } = {}) {
  const record = recorder()
  const listener = new PrimaryListener(
    { committee, ownIndex: OWN, address: { host: '0.0.0.0', port: 0 }, ...options },
    { nowMs: () => 0, ...more },
    record.handlers,
  )
  await listener.listen()
  onTestFinished(() => listener.close())
  const reasons = (): PrimaryRefusal[] => record.refused.map(({ reason }) => reason)
  return { listener, reasons, ...record }
}

interface Sender {
  readonly socket: Socket
  readonly closed: () => boolean
  /** What the listener wrote: it is to be nothing. */
  readonly answered: () => number
}

function dial(listener: PrimaryListener, localAddress = '127.0.0.1'): Promise<Sender> {
  const socket = connect({ host: '127.0.0.1', port: listener.port, localAddress, noDelay: true })
  onTestFinished(() => void socket.destroy())
  let closed = false
  let answered = 0
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    answered += chunk.length
  })
  socket.on('close', () => {
    closed = true
  })
  return new Promise((resolve) =>
    socket.on('connect', () => resolve({ socket, closed: () => closed, answered: () => answered })),
  )
}

test('the messages of the reference are understood byte for byte', async () => {
  const { listener, rounds, synchronized, refused } = await listen()
  const vector = vectors.primary_worker
  const { socket, answered, closed } = await dial(listener)
  socket.write(encodeFrame(fromHex(vector.synchronize.encoded)))
  socket.write(encodeFrame(fromHex(vector.cleanup.encoded)))
  await until(() => rounds.length === 1)
  expect(rounds).toEqual([BigInt(vector.cleanup.round)])
  const target = committee.indexOf(fromHex(vectors.keys[vector.synchronize.target]!.public))
  expect(synchronized).toEqual([{ digests: vector.synchronize.digests, target, source: '127.0.0.1' }])
  expect(refused).toEqual([])
  expect(closed()).toBe(false)
  expect(answered()).toBe(0)
})

test('frames are found wherever the stream is cut, bytes after a message are accepted', async () => {
  const { listener, rounds, refused } = await listen()
  const { socket } = await dial(listener)
  const trailing = encodeFrame(Buffer.concat([encodePrimaryWorkerMessage({ type: 'Cleanup', round: 3n }), digest(9)]))
  for (const byte of Buffer.concat([cleanup(1n), cleanup(2n), trailing])) {
    socket.write(Uint8Array.of(byte))
    await new Promise(setImmediate)
  }
  await until(() => rounds.length === 3)
  expect(rounds).toEqual([1n, 2n, 3n])
  expect(refused).toEqual([])
})

test('digests named twice are handed on once, an empty Synchronize not at all', async () => {
  const { listener, rounds, synchronized } = await listen()
  const { socket } = await dial(listener)
  socket.write(synchronize([], key(OTHER)))
  socket.write(synchronize([digest(2), digest(1), digest(2), digest(2)], key(OWN)))
  socket.write(cleanup(1n))
  await until(() => rounds.length === 1)
  expect(synchronized).toEqual([{ digests: [digest(2), digest(1)].map(toHex), target: OWN, source: '127.0.0.1' }])
})

test('digests are copies: what comes later on the connection does not change them', async () => {
  const kept: Uint8Array[] = []
  const inbox = new PrimaryInbox(
    { committee, ownIndex: OWN },
    {},
    {
      ...recorder().handlers,
      onSynchronize: (digests) => void kept.push(...digests),
    },
  )
  // A Buffer, as sockets give: its `slice` is a view.
  const payload = Buffer.from(
    encodePrimaryWorkerMessage({ type: 'Synchronize', digests: [digest(5)], target: key(OTHER) }),
  )
  expect(inbox.takeFrame(payload, OURS)).toBe('taken')
  payload.fill(0xff)
  expect(kept).toEqual([digest(5)])
})

test.each([
  ['an unknown tag', encodeFrame(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0))],
  ['an empty frame', encodeFrame(new Uint8Array(0))],
  ['a Cleanup without its round', encodeFrame(Uint8Array.of(1, 0, 0, 0, 1))],
  [
    'more digests announced than there are',
    encodeFrame(Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)),
  ],
  [
    'a target that is no key',
    encodeFrame(Buffer.concat([Buffer.alloc(12), Buffer.from([44, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(44, 0x21)])),
  ],
  [
    'a target of eight megabytes',
    encodeFrame(
      Buffer.concat([Buffer.alloc(12), Buffer.from([0, 0, 0x70, 0, 0, 0, 0, 0]), Buffer.alloc(0x70_00_00, 0x41)]),
    ),
  ],
  ['letters', encodeFrame(Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'))],
])('%s is refused as malformed, its connection closed, and others are served', async (_name, bytes) => {
  const { listener, reasons, rounds } = await listen()
  const bad = await dial(listener)
  const good = await dial(listener)
  // What follows on the refused connection is not looked at.
  bad.socket.write(Buffer.concat([bytes, cleanup(666n)]))
  await until(() => bad.closed())
  good.socket.write(cleanup(1n))
  await until(() => rounds.length === 1)
  expect(reasons()).toEqual(['message-malformed'])
  expect(rounds).toEqual([1n])
  expect(good.closed()).toBe(false)
})

test('bytes that are no frames are refused as too large a frame', async () => {
  const { listener, reasons } = await listen()
  const { socket, closed } = await dial(listener)
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await until(closed)
  expect(reasons()).toEqual(['frame-too-large'])
})

test('a frame of 8 MiB is taken, one of a byte more refused by its length alone', async () => {
  const { listener, reasons, rounds, refused } = await listen()
  const largest = await dial(listener)
  const payload = new Uint8Array(REFERENCE_FRAME_BYTES_MAX)
  payload.set(encodePrimaryWorkerMessage({ type: 'Cleanup', round: 8n }))
  largest.socket.write(encodeFrame(payload))
  await until(() => rounds.length === 1)
  expect(reasons()).toEqual([])
  const larger = await dial(listener)
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(REFERENCE_FRAME_BYTES_MAX + 1)
  larger.socket.write(Buffer.concat([cleanup(9n), prefix]))
  await until(larger.closed)
  expect(rounds).toEqual([8n, 9n])
  expect(reasons()).toEqual(['frame-too-large'])
  expect(refused[0]!.detail).toBe('frame of 8388609 bytes, at most 8388608')
  expect(largest.closed()).toBe(false)
})

test.each([1, 4, 10])('a connection that ends %i bytes into a frame is counted as truncated', async (length) => {
  const { listener, reasons, refused, rounds } = await listen()
  const { socket, closed } = await dial(listener)
  socket.end(Buffer.concat([cleanup(1n), cleanup(2n).subarray(0, length)]))
  await until(closed)
  await until(() => reasons().length === 1)
  expect(refused[0]).toMatchObject({ reason: 'frame-truncated', from: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
  expect(rounds).toEqual([1n])
  await until(() => listener.connectionCount === 0)
})

test('half a frame and then silence is refused; silence between frames is not', async () => {
  const { listener, reasons } = await listen({ frameStallMs: 50 })
  const idle = await dial(listener)
  idle.socket.write(cleanup(1n))
  const stalled = await dial(listener)
  stalled.socket.write(cleanup(1n).subarray(0, 7))
  await until(stalled.closed)
  expect(reasons()).toEqual(['frame-truncated'])
  await sleep(100)
  expect(idle.closed()).toBe(false)
})

test('a connection that is only opened and closed is silent', async () => {
  const { listener, refused } = await listen()
  for (const address of ['127.0.0.1', STRANGER]) {
    const probe = await dial(listener, address)
    probe.socket.end()
    await until(probe.closed)
    const reset = await dial(listener, address)
    reset.socket.resetAndDestroy()
  }
  await until(() => listener.connectionCount === 0)
  expect(refused).toEqual([])
})

test("a Cleanup that is not our primary's is refused and counted, and its connection closed", async () => {
  const { listener, reasons, refused, rounds } = await listen()
  const stranger = await dial(listener, STRANGER)
  stranger.socket.write(Buffer.concat([cleanup(1_000_000n), cleanup(1_000_001n)]))
  await until(stranger.closed)
  expect(reasons()).toEqual(['cleanup-foreign'])
  expect(refused[0]!.from).toMatch(/^127\.0\.0\.2:/)
  expect(rounds).toEqual([])
})

test('a Synchronize for our own key is taken from anybody, at a limited rate', async () => {
  const { listener, reasons, synchronized, rounds } = await listen()
  const first = await dial(listener, STRANGER)
  const second = await dial(listener, '127.0.0.3')
  for (let index = 0; index < FOREIGN_SYNCHRONIZE_PER_SECOND; index += 1) {
    first.socket.write(synchronize([digest(index)], key(OWN)))
  }
  await until(() => synchronized.length === FOREIGN_SYNCHRONIZE_PER_SECOND)
  expect(synchronized[0]).toEqual({ digests: [toHex(digest(0))], target: OWN, source: STRANGER })
  // The connection stays: the reference's primaries ask again.
  first.socket.write(synchronize([digest(1)], key(OWN)))
  await until(() => reasons().length === 1)
  expect(reasons()).toEqual(['synchronize-rate'])
  expect(first.closed()).toBe(false)
  // Another source has a rate of its own.
  second.socket.write(synchronize([digest(1)], key(OWN)))
  await until(() => synchronized.length === FOREIGN_SYNCHRONIZE_PER_SECOND + 1)
  expect(synchronized.at(-1)).toMatchObject({ source: '127.0.0.3' })
  // Our own primary is not limited by what strangers do.
  const own = await dial(listener)
  own.socket.write(Buffer.concat([synchronize([digest(7)], key(OWN)), cleanup(1n)]))
  await until(() => rounds.length === 1)
  expect(synchronized.at(-1)).toEqual({ digests: [toHex(digest(7))], target: OWN, source: '127.0.0.1' })
  expect(synchronized).toHaveLength(FOREIGN_SYNCHRONIZE_PER_SECOND + 2)
})

test('the rate of strangers recovers with time', () => {
  const record = recorder()
  let nowMs = 0
  const inbox = new PrimaryInbox({ committee, ownIndex: OWN }, { nowMs: () => nowMs }, record.handlers)
  const payload = encodePrimaryWorkerMessage({ type: 'Synchronize', digests: [digest(1)], target: key(OWN) })
  const ask = (): void => void inbox.takeFrame(payload, stranger('10.0.0.1'))
  for (let count = 0; count < FOREIGN_SYNCHRONIZE_PER_SECOND + 5; count += 1) ask()
  expect(record.synchronized).toHaveLength(FOREIGN_SYNCHRONIZE_PER_SECOND)
  expect(record.refused).toHaveLength(5)
  nowMs = 1000 / FOREIGN_SYNCHRONIZE_PER_SECOND
  ask()
  ask()
  expect(record.synchronized).toHaveLength(FOREIGN_SYNCHRONIZE_PER_SECOND + 1)
})

test('strangers from many addresses have one more rate together, which takes nothing from the primaries', () => {
  const record = recorder()
  const inbox = new PrimaryInbox({ committee, ownIndex: OWN }, { nowMs: () => 0 }, record.handlers)
  const payload = encodePrimaryWorkerMessage({ type: 'Synchronize', digests: [digest(1)], target: key(OWN) })
  for (let address = 0; address < 5_000; address += 1) inbox.takeFrame(payload, stranger(`address ${address}`))
  expect(record.synchronized).toHaveLength(STRANGER_SYNCHRONIZE_PER_SECOND)
  const primary = { ...stranger('10.0.0.2'), isStranger: false }
  expect(inbox.takeFrame(payload, primary)).toBe('taken')
})

test('a message for many digests costs as much as many messages', () => {
  const record = recorder()
  const inbox = new PrimaryInbox({ committee, ownIndex: OWN }, { nowMs: () => 0 }, record.handlers)
  const digests = Array.from({ length: PUSH_AGAIN_QUEUE_MAX }, () => digest(1))
  const payload = encodePrimaryWorkerMessage({ type: 'Synchronize', digests, target: key(OWN) })
  expect(inbox.takeFrame(payload, stranger('a'))).toBe('taken')
  expect(inbox.takeFrame(payload, stranger('a'))).toBe('keep')
  expect(record.refused.map(({ reason }) => reason)).toEqual(['synchronize-rate'])
})

test("a Synchronize for another authority that is not our primary's is refused, its connection closed", async () => {
  const { listener, reasons, synchronized } = await listen()
  const stranger = await dial(listener, STRANGER)
  stranger.socket.write(synchronize([digest(1)], key(OTHER)))
  await until(stranger.closed)
  expect(reasons()).toEqual(['synchronize-foreign'])
  expect(synchronized).toEqual([])
})

test('an unknown target and too many digests are refused, and our primary stays connected', async () => {
  const { listener, reasons, synchronized, rounds, refused } = await listen()
  const { socket, closed } = await dial(listener)
  socket.write(synchronize([digest(1)], new Uint8Array(32)))
  const digests = Array.from({ length: SYNC_PENDING_MAX + 1 }, () => digest(1))
  socket.write(synchronize(digests, key(OTHER)))
  socket.write(synchronize(digests.slice(1), key(OTHER)))
  socket.write(cleanup(1n))
  await until(() => rounds.length === 1)
  expect(reasons()).toEqual(['synchronize-unknown-target', 'synchronize-too-many'])
  expect(refused[1]!.detail).toContain(`${SYNC_PENDING_MAX + 1} batches, at most ${SYNC_PENDING_MAX}`)
  expect(synchronized).toEqual([{ digests: [toHex(digest(1))], target: OTHER, source: '127.0.0.1' }])
  expect(closed()).toBe(false)
})

test('a stranger may send frames of its largest Synchronize, not of 8 MiB', async () => {
  const { listener, reasons, synchronized } = await listen()
  const stranger = await dial(listener, STRANGER)
  const digests = Array.from({ length: PUSH_AGAIN_QUEUE_MAX }, () => digest(1))
  stranger.socket.write(synchronize(digests, key(OWN)))
  await until(() => synchronized.length === 1)
  stranger.socket.write(encodeFrame(new Uint8Array(FOREIGN_PRIMARY_FRAME_BYTES_MAX + 1)).subarray(0, 4))
  await until(stranger.closed)
  expect(reasons()).toEqual(['frame-too-large'])
})

test('what a stage of ours throws at a message is our failure, whatever its code, and no fault of the sender', async () => {
  const bug = (code: 'ERR_CODEC' | 'ERR_FRAME_TOO_LARGE') => (): never => {
    throw new NarvalError(code, 'a bug of ours')
  }
  const record = recorder()
  const inbox = new PrimaryInbox({ committee, ownIndex: OWN }, {}, { ...record.handlers, onCleanup: bug('ERR_CODEC') })
  const payload = encodePrimaryWorkerMessage({ type: 'Cleanup', round: 1n })
  expect(() => inbox.takeFrame(payload, OURS)).toThrow('a bug of ours')
  const failures: NarvalError[] = []
  const listener = new PrimaryListener(
    { committee, ownIndex: OWN, address: { host: '127.0.0.1', port: 0 } },
    { supervisor: new Supervisor((error) => void failures.push(error)) },
    { ...record.handlers, onCleanup: bug('ERR_FRAME_TOO_LARGE') },
  )
  await listener.listen()
  onTestFinished(() => listener.close())
  const { socket } = await dial(listener)
  socket.write(cleanup(1n))
  await until(() => failures.length === 1)
  expect(failures[0]!.message).toBe('a bug of ours')
  expect(record.refused).toEqual([])
})

test('an 8 MiB Synchronize is refused by its count, before anything is made of its digests', () => {
  const record = recorder()
  const inbox = new PrimaryInbox({ committee, ownIndex: OWN }, {}, record.handlers)
  const count = Math.floor((REFERENCE_FRAME_BYTES_MAX - 64) / 32)
  const payload = encodePrimaryWorkerMessage({
    type: 'Synchronize',
    digests: new Array<Uint8Array>(count).fill(digest(1)),
    target: key(OTHER),
  })
  const subarray = vi.spyOn(payload, 'subarray')
  expect(inbox.takeFrame(payload, OURS)).toBe('keep')
  expect(record.refused.map(({ reason }) => reason)).toEqual(['synchronize-too-many'])
  expect(subarray.mock.calls.length).toBeLessThan(10)
})

test('one source cannot keep another out, nor our primary: its own oldest leave for its newest', async () => {
  const { listener, reasons, refused, rounds, synchronized } = await listen()
  const own = await dial(listener)
  const hoard = await Promise.all(Array.from({ length: SOURCE_CONNECTIONS_MAX }, () => dial(listener, STRANGER)))
  await until(() => listener.connectionCount === SOURCE_CONNECTIONS_MAX + 1)
  const excess = await dial(listener, STRANGER)
  await until(() => hoard.some(({ closed }) => closed()))
  expect(reasons()).toEqual(['too-many-connections'])
  expect(refused[0]!.from).toMatch(/^127\.0\.0\.2:/)
  expect(excess.closed()).toBe(false)
  const honest = await dial(listener, '127.0.0.3')
  honest.socket.write(synchronize([digest(1)], key(OWN)))
  own.socket.write(cleanup(1n))
  await until(() => rounds.length === 1 && synchronized.length === 1)
  expect(listener.connectionCount).toBe(SOURCE_CONNECTIONS_MAX + 2)
})

test('our primary keeps its place, whatever else is opened from its address', async () => {
  const { listener, reasons, rounds } = await listen()
  const own = await dial(listener)
  own.socket.write(cleanup(1n))
  await until(() => rounds.length === 1)
  const others = await Promise.all(Array.from({ length: OWN_PRIMARY_CONNECTIONS_MAX + 20 }, () => dial(listener)))
  await until(() => others.filter(({ closed }) => closed()).length === 21)
  expect(reasons()).toHaveLength(21)
  expect(new Set(reasons())).toEqual(new Set(['too-many-connections']))
  own.socket.write(cleanup(2n))
  await until(() => rounds.length === 2)
  expect(own.closed()).toBe(false)
})

test('a port in use is refused with what to do, and close ends connections and the port', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void taken.close())
  await until(() => taken.listening)
  const { port } = taken.address() as { port: number }
  const refused = new PrimaryListener(
    { committee, ownIndex: OWN, address: { host: '127.0.0.1', port } },
    {},
    recorder().handlers,
  )
  await expect(refused.listen()).rejects.toMatchObject({
    code: 'ERR_ADDRESS_IN_USE',
    message: expect.stringContaining(`127.0.0.1:${port}, which is to receive the primary's messages, is in use`),
  })
  await refused.close()

  const { listener, refused: refusals } = await listen()
  const { socket, closed } = await dial(listener)
  socket.write(cleanup(1n).subarray(0, 5))
  await until(() => listener.connectionCount === 1)
  await listener.close()
  await until(closed)
  expect(listener.port).toBe(0)
  expect(refusals).toEqual([])
})

test('trust: the whole table', () => {
  const of = (digestCount: number, target: number) => ({ type: 'Synchronize', digestCount, target }) as const
  const reason = (request: Parameters<typeof judge>[0], fromOwnPrimary: boolean): string => {
    const verdict = judge(request, fromOwnPrimary, OWN)
    return verdict.accepted ? (verdict.isRateLimited ? 'limited' : 'taken') : verdict.reason
  }
  expect(reason({ type: 'Cleanup' }, true)).toBe('taken')
  expect(reason({ type: 'Cleanup' }, false)).toBe('cleanup-foreign')
  expect(reason(of(1, OWN), true)).toBe('taken')
  expect(reason(of(1, OWN), false)).toBe('limited')
  expect(reason(of(1, OTHER), true)).toBe('taken')
  expect(reason(of(1, OTHER), false)).toBe('synchronize-foreign')
  expect(reason(of(1, -1), true)).toBe('synchronize-unknown-target')
  expect(reason(of(1, -1), false)).toBe('synchronize-foreign')
  expect(reason(of(SYNC_PENDING_MAX, OTHER), true)).toBe('taken')
  expect(reason(of(SYNC_PENDING_MAX + 1, OTHER), true)).toBe('synchronize-too-many')
  expect(reason(of(PUSH_AGAIN_QUEUE_MAX, OWN), false)).toBe('limited')
  expect(reason(of(PUSH_AGAIN_QUEUE_MAX + 1, OWN), false)).toBe('synchronize-too-many')
})

test('trust: one address has one text, and our primary is known by both of its addresses', () => {
  expect(normalHost('::ffff:127.0.0.1')).toBe('127.0.0.1')
  expect(normalHost('::FFFF:10.0.0.7')).toBe('10.0.0.7')
  expect(normalHost('::ffff:a00:7')).toBe('10.0.0.7')
  expect(normalHost('10.0.0.7')).toBe('10.0.0.7')
  expect(normalHost('fe80::1%eth0')).toBe('fe80::1')
  const authority = committee.authority(0)
  const primary = {
    primaryToPrimary: { host: '10.0.0.1', port: 1 },
    workerToPrimary: { host: 'fd00::1', port: 2 },
  }
  expect([...primaryHosts(new Committee([{ ...authority, primary }]), 0)].sort()).toEqual(['10.0.0.1', 'fd00::1'])
})

/** The committee, in which the primary of one authority has a name. */
function withNamedPrimary(index: number, host: string): Committee {
  const primary = { workerToPrimary: { host, port: 4001 }, primaryToPrimary: { host, port: 4000 } }
  return new Committee(committee.authorities.map((one, at) => (at === index ? { ...one, primary } : one)))
}

/** Names that stand for what is said last: addresses, or the code of a failure. */
class SaidNames {
  readonly names = new HostNames({ lookup: async (name) => this.find(name) })
  private readonly answers: Map<string, readonly string[] | string>

  constructor(answers: Readonly<Record<string, readonly string[] | string>>) {
    this.answers = new Map(Object.entries(answers))
    onTestFinished(() => this.names.close())
  }

  /** From now on; who asks within NAME_FRESH_MS still has the last answer. */
  async say(name: string, answer: readonly string[] | string): Promise<void> {
    this.answers.set(name, answer)
    await sleep(NAME_FRESH_MS)
  }

  private async find(name: string): Promise<readonly string[]> {
    const answer = this.answers.get(name) ?? 'ENOTFOUND'
    if (typeof answer === 'string') throw Object.assign(new Error(answer), { code: answer })
    return answer
  }
}

test('a primary that is named is believed at the address that the name has now, also when it has just moved', async () => {
  const said = new SaidNames({ 'primary-1': ['127.0.0.5'] })
  const { listener, rounds, reasons } = await listen(
    { committee: withNamedPrimary(OWN, 'primary-1') },
    { names: said.names },
  )
  const say = async (address: string, round: bigint): Promise<Sender> => {
    const sender = await dial(listener, address)
    sender.socket.write(cleanup(round))
    return sender
  }
  const first = await say('127.0.0.5', 1n)
  await until(() => rounds.length === 1)
  // Its container was started again somewhere else: the first connection from there says so.
  await said.say('primary-1', ['127.0.0.6'])
  expect(first.closed()).toBe(false)
  const moved = await say('127.0.0.6', 2n)
  await until(() => rounds.length === 2)
  // Who has the old address now is not our primary, on a connection of before either.
  await until(() => first.closed())
  expect(reasons()).toEqual(['sender-changed'])
  const old = await say('127.0.0.5', 3n)
  await until(() => old.closed())
  expect(rounds).toEqual([1n, 2n])
  expect(moved.closed()).toBe(false)
  // The resolver is down: what was last known holds. It knows no such name: nobody is believed who comes now.
  await said.say('primary-1', 'EAI_AGAIN')
  const fourth = await say('127.0.0.6', 4n)
  await until(() => rounds.length === 3)
  expect(moved.closed()).toBe(false)
  await said.say('primary-1', 'ENOTFOUND')
  const stranger = await say('127.0.0.9', 5n)
  await until(() => stranger.closed())
  const gone = await say('127.0.0.6', 6n)
  await until(() => gone.closed())
  // What was there before says on what it says, until the name stands for something else.
  moved.socket.write(cleanup(7n))
  await until(() => rounds.length === 4)
  expect(fourth.closed()).toBe(false)
  await said.say('primary-1', ['127.0.0.8'])
  await said.names.resolve('primary-1')
  await until(() => moved.closed() && fourth.closed())
  expect(rounds).toEqual([1n, 2n, 4n, 7n])
  const expected = ['cleanup-foreign', 'cleanup-foreign', 'cleanup-foreign', ...Array(3).fill('sender-changed')]
  expect(reasons().sort()).toEqual(expected)
})

test('connections of a primary whose name keeps changing are those of the addresses that it has now', async () => {
  const said = new SaidNames({ 'primary-2': ['127.0.1.1'] })
  const { listener, reasons } = await listen({ committee: withNamedPrimary(OTHER, 'primary-2') }, { names: said.names })
  const other = await dial(listener, STRANGER)
  // What is not whole when it is closed is nobody's fault.
  const half = async (address: string): Promise<Sender> => {
    const sender = await dial(listener, address)
    sender.socket.write(cleanup(1n).subarray(0, 5))
    return sender
  }
  let held: Sender[] = []
  for (let last = 2; last <= 4; last += 1) {
    const before = held
    await said.names.resolve('primary-2')
    await until(() => before.every(({ closed }) => closed()))
    held = await Promise.all(Array.from({ length: SOURCE_CONNECTIONS_MAX }, () => half(`127.0.1.${last - 1}`)))
    await until(() => listener.connectionCount === SOURCE_CONNECTIONS_MAX + 1)
    await said.say('primary-2', [`127.0.1.${last}`])
  }
  expect(reasons()).toEqual(Array(2 * SOURCE_CONNECTIONS_MAX).fill('sender-changed'))
  // Those that nothing has changed for stay.
  expect(other.closed()).toBe(false)
})

test('a stranger whose address becomes that of our primary dials again, and is believed then', async () => {
  const said = new SaidNames({ 'primary-1': 'EAI_AGAIN', 'primary-2': ['127.0.0.7'] })
  const members = withNamedPrimary(OTHER, 'primary-2').authorities.map((one, at) =>
    at === OWN ? withNamedPrimary(OWN, 'primary-1').authority(OWN) : one,
  )
  const { listener, reasons, rounds } = await listen({ committee: new Committee(members) }, { names: said.names })
  const early = await dial(listener, '127.0.0.6')
  const asOther = await dial(listener, '127.0.0.7')
  await until(() => listener.connectionCount === 2)
  await said.say('primary-1', ['127.0.0.6', '127.0.0.7'])
  await said.names.resolve('primary-1')
  await until(() => early.closed() && asOther.closed())
  expect(reasons()).toEqual(['sender-changed', 'sender-changed'])
  for (const [index, address] of ['127.0.0.6', '127.0.0.7'].entries()) {
    const again = await dial(listener, address)
    again.socket.write(cleanup(BigInt(index + 1)))
    await until(() => rounds.length === index + 1)
  }
})
