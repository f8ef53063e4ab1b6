/** Batch requests and replies to them that are wrong, against a real worker. */

import type { Connection, Stream } from '@libp2p/interface'
import { Packr } from 'msgpackr'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { REQUEST_BYTES_MAX, REQUESTS_OPEN_MAX } from '../../src/main/worker/sync/limits.js'
import { BATCH_HEADER_BYTES, REQUEST_DIGESTS_MAX } from '../../src/shared/constants.js'
import type { InboundStatus } from '../../src/shared/memory/dialogue/processor.js'
import type { PeerRefusal } from '../../src/shared/refusals.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { decodeDigests, encodeDigests } from '../../src/shared/wire/sync-messages.js'
import { digestOf, type Libp2pPeer } from '../support/libp2p-peer.js'
import { frame, RawStream } from '../support/raw-stream.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

const BATCH_BYTES_MAX = 500_000
const pack = (value: unknown): Uint8Array => new Packr({ useRecords: false }).pack(value)

let node: WorkerUnderTest
let honest: Libp2pPeer
let accomplice: Libp2pPeer
let mallory: Libp2pPeer
let connection: Connection
/** Authority indices: mallory is the one that lacks batches, and the one that others' batches are asked of. */
const [HONEST, ACCOMPLICE, MALLORY] = [1, 2, 3]

beforeAll(async () => {
  node = await WorkerUnderTest.start({ parameters: { syncRetryDelayMs: 100, syncRetryNodes: 3 } })
  ;[honest, accomplice] = (await node.honest(HONEST, ACCOMPLICE)) as [Libp2pPeer, Libp2pPeer]
  mallory = await node.peer(MALLORY)
  connection = await mallory.connect(node.address)
  await node.certifiesOne()
})
afterAll(() => node.close())
beforeEach(() => {
  mallory.behaviour.onSyncStream = undefined
  accomplice.behaviour.onSyncStream = undefined
  honest.behaviour.onSyncStream = undefined
})

function some(count: number, from = 0): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const digest = Buffer.alloc(32, 0xaa)
    digest.writeUInt32BE(from + i)
    return digest
  })
}

/** Waits for the whole reply. */
async function reply(stream: RawStream): Promise<{ found: Uint8Array[]; missing: Uint8Array[] }> {
  await until(
    () => `the reply is over (${stream.frames.length} frames, ${stream.stream.status})`,
    () => stream.frames.at(-1)?.type === FRAME_TYPES.missing,
  )
  // The place of a request is free again when both sides have ended its stream.
  await stream.stream.close()
  return {
    found: stream.frames.slice(0, -1).map(({ payload }) => payload),
    missing: decodeDigests(stream.frames.at(-1)!.payload),
  }
}

describe('a request', () => {
  test('for batches that are here and some that are not gets the ones and the names of the others', async () => {
    const batches = await mallory.openBatches(connection)
    const [first, second] = [node.batch(300_000), node.batch(10)]
    await node.accepts(batches, first)
    await node.accepts(batches, second)
    const author = node.keys[MALLORY]!.publicKey
    const [a, b] = [digestOf(first, author), digestOf(second, author)]
    const [c, d] = some(2) as [Uint8Array, Uint8Array]
    const stream = await mallory.openSync(connection)
    await stream.sendFrame(FRAME_TYPES.request, encodeDigests([c, a, d, b]))
    const { found, missing } = await reply(stream)
    expect(missing.map((it) => Buffer.from(it))).toEqual([c, d].map((it) => Buffer.from(it)))
    expect(found).toHaveLength(2)
    expect(Buffer.from(found[0]!).equals(Buffer.concat([a, author, first]))).toBe(true)
    expect(Buffer.from(found[1]!).equals(Buffer.concat([b, author, second]))).toBe(true)
  })

  test('for nothing is answered with nothing', async () => {
    const stream = await mallory.openSync(connection)
    await stream.sendFrame(FRAME_TYPES.request, encodeDigests([]))
    expect(await reply(stream)).toEqual({ found: [], missing: [] })
  })

  test('for as many as may be, none of which we have, gets them all back as missing', async () => {
    const stream = await mallory.openSync(connection)
    await stream.sendFrame(FRAME_TYPES.request, encodeDigests(some(REQUEST_DIGESTS_MAX)))
    expect((await reply(stream)).missing).toHaveLength(REQUEST_DIGESTS_MAX)
  })

  async function refused(reason: PeerRefusal, ...bytes: Uint8Array[]): Promise<void> {
    const stream = await mallory.openSync(connection)
    await node.endsStream(stream, reason, () => stream.send(...bytes))
    expect(stream.frames).toHaveLength(0)
    // Logged once, however many there are.
    expect(node.refusalLines('peer', reason)).toHaveLength(1)
    const next = await mallory.openSync(connection)
    await next.sendFrame(FRAME_TYPES.request, encodeDigests(some(1)))
    await reply(next)
    await node.certifiesOne()
  }

  test('for 10,000 digests is refused by its length', () =>
    refused('request-too-many-digests', frame(FRAME_TYPES.request, encodeDigests(some(10_000)))))

  test('for four billion digests, of which none is there, is refused by their number', () =>
    refused('request-too-many-digests', frame(FRAME_TYPES.request, Buffer.from('ddffffffff', 'hex'))))

  test.each([REQUEST_DIGESTS_MAX + 1, 120])(
    'for %i digests, whose length passes, is refused by their number',
    (count) => {
      const payload = encodeDigests(some(count))
      expect(payload.length).toBeLessThanOrEqual(REQUEST_BYTES_MAX)
      return refused('request-too-many-digests', frame(FRAME_TYPES.request, payload))
    },
  )

  test('is refused by its length before any of it has come', async () => {
    const stream = await mallory.openSync(connection)
    await node.counts(
      'peer',
      'request-too-many-digests',
      async () => {
        await stream.send(frame(FRAME_TYPES.request, new Uint8Array(0), { length: REQUEST_BYTES_MAX + 1 }))
        await stream.gone()
      },
      1,
    )
  })

  test('that is malformed is refused, whatever is wrong with it', async () => {
    const twice = some(1)
    const wrong = [
      new Uint8Array(0),
      new Uint8Array(100).fill(0xc1),
      pack('a digest'),
      pack({ digests: some(1) }),
      pack([new Uint8Array(31)]),
      pack([new Uint8Array(33)]),
      pack(['x'.repeat(32)]),
      pack([null]),
      Buffer.concat([encodeDigests(some(1)), Buffer.alloc(1)]),
      // A digest twice.
      encodeDigests([...some(1), ...twice, ...some(1), ...twice]),
      // A digest as a typed array, which msgpackr has an extension for.
      Buffer.concat([Buffer.from([0x91, 0xc7, 33, 0x74, 1]), ...twice]),
      Buffer.from('c6ffffffff00', 'hex'),
    ]
    for (const payload of wrong) {
      const stream = await mallory.openSync(connection)
      await node.counts(
        'peer',
        'request-malformed',
        async () => {
          await stream.sendFrame(FRAME_TYPES.request, payload)
          await stream.gone()
        },
        1,
      )
      expect(stream.frames).toHaveLength(0)
    }
    expect(node.refusalLines('peer', 'request-malformed')).toHaveLength(1)
    await node.certifiesOne()
  })

  test.each(['batch', 'ack', 'found', 'missing', 'hello'] as const)('that is a %s is refused', async (name) => {
    const stream = await mallory.openSync(connection)
    await node.counts(
      'peer',
      'frame-on-wrong-stream',
      async () => {
        await stream.sendFrame(FRAME_TYPES[name], encodeDigests(some(1))).catch(() => {})
        await stream.gone()
      },
      1,
    )
  })

  test('of a type that there is not is refused', () => refused('unknown-frame-type', frame(99, encodeDigests(some(1)))))

  test('with reserved bytes is refused', () =>
    refused('frame-header-malformed', frame(FRAME_TYPES.request, encodeDigests(some(1)), { reserved: [0, 0, 1] })))

  test('behind another on the same stream is refused', async () => {
    const stream = await mallory.openSync(connection)
    await node.counts(
      'peer',
      'request-rate',
      async () => {
        const one = frame(FRAME_TYPES.request, encodeDigests(some(1)))
        await stream.send(Buffer.concat([one, one]))
        await stream.gone()
      },
      1,
    )
  })

  test('is one too many while two are open, and may be made when one of them is over', async () => {
    const open: RawStream[] = []
    for (let i = 0; i < REQUESTS_OPEN_MAX; i += 1) open.push(await mallory.openSync(connection))
    await until('they are open there', () => open.every((it) => it.isOpen))
    await node.counts(
      'peer',
      'request-rate',
      async () => {
        const third = await mallory.openSync(connection)
        await third.gone()
      },
      1,
    )
    // Those that are open are answered, and another peer's are none of theirs.
    for (const stream of open) await stream.sendFrame(FRAME_TYPES.request, encodeDigests(some(2)))
    for (const stream of open) expect((await reply(stream)).missing).toHaveLength(2)
    await until('there is room again', async () => {
      const stream = await mallory.openSync(connection)
      await stream.sendFrame(FRAME_TYPES.request, encodeDigests(some(1))).catch(() => {})
      await until('it is answered or refused', () => stream.frames.length > 0 || !stream.isOpen)
      return stream.frames.length > 0
    })
  })

  test('whose stream is reset at any time gives its place back', async () => {
    for (let i = 0; i < 50; i += 1) {
      const stream = await mallory.openSync(connection)
      const request = frame(FRAME_TYPES.request, encodeDigests(some(REQUEST_DIGESTS_MAX)))
      if (i % 3 > 0) await stream.send(request.subarray(0, i % 3 === 1 ? 20 : request.length)).catch(() => {})
      stream.abort()
    }
    await until('requests are answered again', async () => {
      const stream = await mallory.openSync(connection)
      await stream.sendFrame(FRAME_TYPES.request, encodeDigests(some(1))).catch(() => {})
      await until('it is answered or refused', () => stream.frames.length > 0 || !stream.isOpen)
      return stream.frames.length > 0
    })
  })
})

test('a Synchronize that names a batch of ours as another’s is answered with OthersBatch: OurBatch means certified', async () => {
  const { digest } = await node.certifiesOne()
  const reports = (): string[] =>
    node.reports.filter((report) => Buffer.from(digest).equals(report.digest)).map(({ type }) => type)
  await until('it is reported', () => reports().length === 1)
  node.worker.toWorker({ type: 'Synchronize', digests: [digest], target: node.keys[MALLORY]!.publicKey })
  await until('it is reported again', () => reports().length === 2)
  expect(reports()).toEqual(['OurBatch', 'OthersBatch'])
})

/** What a Helper sends last. */
async function end(stream: RawStream): Promise<void> {
  if (!stream.isOpen) return
  await stream.sendFrame(FRAME_TYPES.missing, encodeDigests([]))
  await stream.stream.close()
}

/** Replies to a request as a Helper would, with these frames. */
function answerWith(taken: Stream, ...frames: Uint8Array[]): void {
  const stream = new RawStream(taken)
  void stream
    .framesCame(1)
    .then(() => stream.send(...frames))
    .then(() => end(stream))
    .catch(ignoreGone)
}

/** The worker has closed the stream: the test looks for that where it matters. */
function ignoreGone(): void {}

describe('a reply', () => {
  /** The worker is told that it lacks a batch of mallory's; `answer` is mallory's reply. Nothing of it is stored. */
  let wanted = 1_000
  function want(): Uint8Array {
    wanted += 1
    return some(1, wanted)[0]!
  }

  function ask(digests: Uint8Array[], target = MALLORY): void {
    node.worker.toWorker({ type: 'Synchronize', digests, target: node.keys[target]!.publicKey })
  }

  /** Gives the search up: later tests are not to be asked for it. */
  let round = 1n
  function giveUp(): void {
    round += 1_000n
    node.worker.toWorker({ type: 'Cleanup', round })
  }

  const found = (digest: Uint8Array, author: Uint8Array, batch: Uint8Array): Uint8Array =>
    frame(FRAME_TYPES.found, Buffer.concat([digest, author, batch]))

  /** `kind` and `reason` are counted, the stream is closed, and an honest peer can still deliver what was wanted. */
  async function refused(
    kind: 'peer' | 'batch',
    reason: PeerRefusal | InboundStatus,
    answer: (stream: RawStream, digest: Uint8Array) => Promise<unknown>,
  ): Promise<void> {
    const batch = node.batch(2_000)
    const author = node.keys[MALLORY]!.publicKey
    const digest = digestOf(batch, author)
    mallory.behaviour.onSyncStream = (taken) => {
      mallory.behaviour.onSyncStream = undefined
      const stream = new RawStream(taken)
      void stream
        .framesCame(1)
        .then(() => answer(stream, digest))
        .then(() => end(stream))
        .catch(ignoreGone)
    }
    honest.behaviour.onSyncStream = (taken) => answerWith(taken, found(digest, author, batch))
    await node.counts(kind, reason, async () => ask([digest]))
    await until('the batch comes from another', async () => (await node.worker.read(digest)) !== undefined)
    expect(Buffer.from((await node.worker.read(digest))!.bytes).equals(batch)).toBe(true)
    await until('it is reported', () => node.reports.some((report) => Buffer.from(digest).equals(report.digest)))
    giveUp()
    await node.slotsAllFree()
    await node.certifiesOne()
  }

  const author = (index: number): Uint8Array => node.keys[index]!.publicKey

  test('with a batch that was not asked for is refused', () =>
    refused('peer', 'reply-not-asked', (stream) => {
      const other = node.batch()
      return stream.send(found(digestOf(other, author(MALLORY)), author(MALLORY), other))
    }))

  test('with another batch under the digest asked for is refused', () =>
    refused('batch', 'not-as-asked', (stream, digest) => stream.send(found(digest, author(MALLORY), node.batch()))))

  test('with the batch under another author is refused: the digest binds its author', () => {
    const batch = node.batch()
    return refused('batch', 'not-as-asked', (stream, digest) => stream.send(found(digest, author(2), batch)))
  })

  test('with an author that is not in the committee is refused', () =>
    refused('peer', 'reply-unknown-author', (stream, digest) =>
      stream.send(found(digest, new Uint8Array(32).fill(9), node.batch())),
    ))

  test('with something that is no batch is refused', () =>
    refused('batch', 'invalid', (stream, digest) => stream.send(found(digest, author(MALLORY), new Uint8Array(500)))))

  test('with a batch that is too long is refused', () =>
    refused('peer', 'reply-malformed', (stream) =>
      stream.send(frame(FRAME_TYPES.found, new Uint8Array(100), { length: 64 + BATCH_BYTES_MAX + 1 })),
    ))

  test('with a batch that is too short is refused', () =>
    refused('peer', 'reply-malformed', (stream) =>
      stream.send(frame(FRAME_TYPES.found, new Uint8Array(64 + BATCH_HEADER_BYTES - 1))),
    ))

  test('with less than a digest is refused', () =>
    refused('peer', 'reply-malformed', (stream) => stream.send(frame(FRAME_TYPES.found, new Uint8Array(3)))))

  test('with the same batch twice is refused the second time', () => {
    const batch = node.batch()
    const digest = digestOf(batch, author(MALLORY))
    return refused('peer', 'reply-not-asked', async (stream, asked) => {
      // Of what was asked for, one that is wrong; then once more.
      await stream.send(found(asked, author(MALLORY), batch))
      await stream.send(found(asked, author(MALLORY), batch), found(digest, author(MALLORY), batch))
    })
  })

  test('with a list of what is missing that names something else is refused', () =>
    refused('peer', 'reply-not-asked', (stream, digest) =>
      stream.sendFrame(FRAME_TYPES.missing, encodeDigests([digest, ...some(1)])),
    ))

  test('with a batch and its name among the missing is refused', () => {
    const wrong = node.batch()
    return refused('peer', 'reply-not-asked', async (stream, digest) => {
      await stream.send(found(digest, author(MALLORY), wrong))
      await stream.sendFrame(FRAME_TYPES.missing, encodeDigests([digest]))
    })
  })

  test('with a list of what is missing that names it twice is refused', () =>
    refused('peer', 'reply-malformed', (stream, digest) =>
      stream.sendFrame(FRAME_TYPES.missing, encodeDigests([digest, digest])),
    ))

  test('that neither sends nor names what was asked for is refused', () =>
    refused('peer', 'reply-malformed', async (stream) => {
      await stream.sendFrame(FRAME_TYPES.missing, encodeDigests([]))
      // Nothing else that could be refused comes behind it.
      await stream.stream.close()
    }))

  test('that goes on behind its end is refused', async () => {
    await refused('peer', 'reply-malformed', async (stream, digest) => {
      const missing = frame(FRAME_TYPES.missing, encodeDigests([digest]))
      await stream.send(missing, missing)
    })
    const batch = node.batch()
    await refused('peer', 'reply-not-asked', async (stream, digest) => {
      await stream.send(
        Buffer.concat([frame(FRAME_TYPES.missing, encodeDigests([digest])), found(digest, author(MALLORY), batch)]),
      )
    })
  })

  test('with a list of what is missing that is malformed is refused', () =>
    refused('peer', 'reply-malformed', (stream) =>
      stream.send(frame(FRAME_TYPES.missing, new Uint8Array(9).fill(0xc1))),
    ))

  test('with a list of what is missing that is too long is refused', () =>
    refused('peer', 'reply-malformed', (stream) =>
      stream.send(frame(FRAME_TYPES.missing, new Uint8Array(0), { length: 2 ** 31 })),
    ))

  test.each(['batch', 'ack', 'request', 'hello'] as const)('that is a %s is refused', (name) =>
    refused('peer', 'frame-on-wrong-stream', (stream) => stream.send(frame(FRAME_TYPES[name], new Uint8Array(48)))),
  )

  test('that ends in the middle of a batch is refused, and its slot comes back', () =>
    refused('peer', 'frame-truncated', async (stream, digest) => {
      await stream.send(found(digest, author(MALLORY), node.batch(1_000)).subarray(0, 700))
      await stream.stream.close()
    }))

  test('that is nothing: the stream is ended, reset, or left; others are asked', async () => {
    const left: RawStream[] = []
    for (const answer of ['end', 'reset', 'reset at once', 'nothing'] as const) {
      const batch = node.batch(500)
      const digest = digestOf(batch, author(MALLORY))
      let asked = 0
      mallory.behaviour.onSyncStream = (taken) => {
        asked += 1
        if (answer === 'reset at once') taken.abort(new Error('no'))
        const stream = new RawStream(taken)
        left.push(stream)
        if (answer === 'end') void taken.close().catch(() => {})
        if (answer === 'reset') void stream.framesCame(1).then(() => stream.abort(), ignoreGone)
      }
      honest.behaviour.onSyncStream = (taken) => answerWith(taken, found(digest, author(MALLORY), batch))
      ask([digest])
      await until(`mallory is asked (${answer})`, () => asked > 0)
      await until('the batch comes from another', async () => (await node.worker.read(digest)) !== undefined)
    }
    // Left alone, each would keep its place until it counts as stalled.
    for (const stream of left) stream.abort()
    giveUp()
    await node.slotsAllFree()
  })

  test('a peer that resets each sync stream as it is opened is asked again, and nothing breaks', async () => {
    let resets = 0
    mallory.behaviour.onSyncStream = (taken) => {
      resets += 1
      taken.abort(new Error('no'))
    }
    honest.behaviour.onSyncStream = mallory.behaviour.onSyncStream
    // Many requests at once, two at a time: each is answered by a reset that comes with the opening of its stream.
    ask(Array.from({ length: REQUEST_DIGESTS_MAX * 20 }, want))
    await until('it was asked often', () => resets >= 40)
    giveUp()
    await node.certifiesOne()
  })

  test('that trickles holds up nobody else: two peers with all requests open, a byte at a time, and the third is heard', async () => {
    const trickles: { stream: RawStream; timer: NodeJS.Timeout }[] = []
    const trickle = (taken: Stream): void => {
      const stream = new RawStream(taken)
      const answer = async (): Promise<void> => {
        await stream.framesCame(1)
        await stream.send(frame(FRAME_TYPES.found, new Uint8Array(1_000), { length: BATCH_BYTES_MAX }))
        const timer = setInterval(() => void stream.send(new Uint8Array(1)).catch(ignoreGone), 100)
        trickles.push({ stream, timer })
      }
      void answer().catch(ignoreGone)
    }
    mallory.behaviour.onSyncStream = trickle
    accomplice.behaviour.onSyncStream = trickle
    for (const colluder of [MALLORY, ACCOMPLICE]) {
      for (let i = 0; i < REQUESTS_OPEN_MAX; i += 1) {
        const before = trickles.length
        ask([want()], colluder)
        await until('one more reply trickles', () => trickles.length > before)
      }
    }
    await until('each has a slot', async () => {
      const free = await node.metric('narval_slots_free', { arena: 'sync' })
      return free === 3 * node.syncSlotsPerPeer - 2 * REQUESTS_OPEN_MAX
    })

    const batch = node.batch(BATCH_BYTES_MAX - 68)
    const digest = digestOf(batch, author(HONEST))
    honest.behaviour.onSyncStream = (taken) => answerWith(taken, found(digest, author(HONEST), batch))
    ask([digest], HONEST)
    await until('the batch comes from the third', async () => (await node.worker.read(digest)) !== undefined)
    expect(trickles.filter(({ stream }) => stream.isOpen)).toHaveLength(2 * REQUESTS_OPEN_MAX)
    giveUp()
    for (const { stream, timer } of trickles) {
      clearInterval(timer)
      stream.abort()
    }
    await node.slotsAllFree()
  })

  test('of more batches than there are slots, which end the stream before they are read, is taken whole', async () => {
    const batches = Array.from({ length: 8 * node.syncSlotsPerPeer }, () => node.batch(BATCH_BYTES_MAX - 68))
    const digests = batches.map((batch) => digestOf(batch, author(MALLORY)))
    mallory.behaviour.onSyncStream = (taken) => {
      // What this one reply does not bring never comes.
      mallory.behaviour.onSyncStream = undefined
      answerWith(taken, ...batches.map((batch, i) => found(digests[i]!, author(MALLORY), batch)))
    }
    ask(digests)
    for (const digest of digests) {
      await until('it is stored', async () => (await node.worker.read(digest)) !== undefined)
    }
    await node.slotsAllFree()
  })
})
