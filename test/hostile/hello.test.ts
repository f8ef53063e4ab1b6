/** Who may speak to a worker: everything that is wrong before or in a hello, against a real worker. */
import type { Connection } from '@libp2p/interface'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BATCH_PROTOCOL, HELLO_PROTOCOL, SYNC_PROTOCOL } from '../../src/main/network/protocols.js'
import { keysOf } from '../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { HELLO_BYTES_MAX } from '../../src/shared/constants.js'
import { ACK_LEVELS } from '../../src/shared/wire/ack.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import type { HelloRecord } from '../../src/shared/wire/hello.js'
import { type Libp2pPeer, peerIdOfSeed } from '../support/libp2p-peer.js'
import { frame, RawStream } from '../support/raw-stream.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

const NOTHING = new Uint8Array(0)
const stranger = keysOf(new Uint8Array(32).fill(99))

async function closed(connection: Connection): Promise<void> {
  await until('the connection is closed', () => connection.status !== 'open' && connection.status !== 'closing')
}

describe('a committee whose file names no peer ids', () => {
  let node: WorkerUnderTest
  let honest: Libp2pPeer[]
  let mallory: Libp2pPeer

  beforeAll(async () => {
    node = await WorkerUnderTest.start()
    honest = await node.honest(1, 2)
    mallory = await node.peer(3)
    await node.certifiesOne()
  })
  afterAll(() => node.close())

  /** The hello is refused with the reason, the peer is told, and the connection closed; the others are served. */
  async function refused(
    reason: string,
    hello: Uint8Array | ((peer: Libp2pPeer) => Uint8Array),
    peer = mallory,
  ): Promise<void> {
    const connection = await peer.dial(node.address)
    await node.counts(
      'peer',
      `hello-${reason}`,
      async () => {
        const bytes = typeof hello === 'function' ? hello(peer) : hello
        const stream = await peer.sayHello(connection, frame(FRAME_TYPES.hello, bytes))
        const [answer] = await stream.framesCame(1)
        expect(answer!.type).toBe(FRAME_TYPES.helloRefused)
        expect(Buffer.from(answer!.payload).toString()).toMatch(new RegExp(`^${reason}: .`))
        await closed(connection)
      },
      1,
    )
    expect(node.refusalLines('peer', `hello-${reason}`)).toHaveLength(1)
    await node.certifiesOne()
  }

  test('one that is not in the committee is refused, and told so', async () => {
    const peer = await node.peer(3, { keys: stranger })
    await refused('not-in-committee', (it) => it.hello(), peer)
  })

  test('a hello that another key signed is refused', () =>
    refused('bad-signature', (it) => it.hello({}, stranger.seed)))

  test('a worker of another id is refused', () => refused('wrong-worker-id', (it) => it.hello({ workerId: 1 })))

  test('one with another committee file is refused', () =>
    refused('wrong-committee', (it) => it.hello({ committeeDigest: new Uint8Array(32) })))

  test('a good hello of another worker, presented on our own connection, is refused', () =>
    refused('wrong-peer-id', honest[0]!.hello()))

  test('another version of the protocols, which digests by another rule, is refused with both', async () => {
    await refused('protocol-version', (it) => it.hello({ protocolVersion: 2 }))
    expect(node.refusalLines('peer', 'hello-protocol-version')[0]).toContain('they speak version 2, we speak 4')
  })

  test('another batch_size is refused, and the peer, the log and health are told both values', async () => {
    await refused('wrong-batch-size', (it) => it.hello({ batchBytesMax: 400_000 }))
    expect(node.refusalLines('peer', 'hello-wrong-batch-size')[0]).toMatch(/400000 bytes, ours 500000: .*batch_size/)
    const { problems } = node.worker.health()
    expect(problems).toEqual([expect.stringMatching(/is not connected: we refuse it: .*400000 bytes, ours 500000/)])
    expect(problems[0]).toContain(node.keys[3]!.name.slice(0, 16))
    // Until it says what it should.
    const connection = await mallory.connect(node.address)
    expect(node.worker.health().problems).toEqual([])
    await connection.close()
  })

  test('bytes that are no hello are refused', () => refused('malformed', new Uint8Array(100).fill(0xc1)))

  test('an empty hello is refused', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts('peer', 'hello-malformed', () => mallory.sayHello(connection, frame(FRAME_TYPES.hello, NOTHING)))
    await closed(connection)
  })

  test('one that speaks for our own authority is refused', async () => {
    const peer = await node.peer(0, { networkKeySeed: new Uint8Array(32).fill(42) })
    await refused('self', (it) => it.hello(), peer)
  })

  test('an older record with another peer id is refused, and the newer stays connected', async () => {
    const peer = await node.peer(1, { networkKeySeed: new Uint8Array(32).fill(43) })
    await refused('stale', (it) => it.hello({ timeMs: Date.now() - 3_600_000 }), peer)
    expect(honest[0]!.node.getConnections()).not.toHaveLength(0)
  })

  test('a record dated a year ahead is refused, and shuts out no later key of its authority', async () => {
    const peer = await node.peer(3, { networkKeySeed: new Uint8Array(32).fill(44) })
    await refused('time-ahead', (it) => it.hello({ timeMs: Date.now() + 365 * 86_400_000 }), peer)
    const connection = await mallory.connect(node.address)
    await node.accepts(await mallory.openBatches(connection))
    await connection.close()
  })

  test('a hello frame that is too large is refused before it is read', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts('peer', 'hello-frame-too-large', () =>
      mallory.sayHello(connection, frame(FRAME_TYPES.hello, NOTHING, { length: HELLO_BYTES_MAX + 1 })),
    )
    await closed(connection)
  })

  test('garbage on the hello stream is refused', async () => {
    const connection = await mallory.dial(node.address)
    const before = node.lines.length
    await mallory.sayHello(connection, new Uint8Array(10_000).fill(0xff))
    await closed(connection)
    expect(node.lines.slice(before).join()).toMatch(/Refused peer .*: hello-frame-/)
    await node.certifiesOne()
  })

  test('a frame that has no place in a hello is refused, however often it is repeated', async () => {
    const frames = [
      [FRAME_TYPES.helloOk, 'hello-out-of-turn'],
      [FRAME_TYPES.batch, 'hello-frame-on-wrong-stream'],
      [77, 'hello-unknown-frame-type'],
    ] as const
    for (const [type, reason] of frames) {
      const connection = await mallory.dial(node.address)
      await node.counts(
        'peer',
        reason,
        async () => {
          // Several in one go: what comes behind the refused one changes nothing.
          const frames = Array.from({ length: 20 }, () => frame(type, new Uint8Array(10)))
          await mallory.sayHello(connection, Buffer.concat(frames))
          await closed(connection)
        },
        1,
      )
    }
    await node.certifiesOne()
  })

  /** The listener's side of a hello up to its own record; then what the dialler should not say. */
  async function afterTheRecord(reason: string, ...bytes: Uint8Array[]): Promise<void> {
    const connection = await mallory.dial(node.address)
    await node.counts(
      'peer',
      reason,
      async () => {
        const hello = await mallory.sayHello(connection, frame(FRAME_TYPES.hello, mallory.hello()))
        expect((await hello.framesCame(1))[0]!.type).toBe(FRAME_TYPES.hello)
        await hello.send(...bytes).catch(() => {})
        await closed(connection)
      },
      1,
    )
    await node.certifiesOne()
  }

  test.each([1, 4_000])('an ok with %i bytes in it is refused', (length) =>
    afterTheRecord('hello-frame-too-large', frame(FRAME_TYPES.helloOk, new Uint8Array(length))),
  )

  test('an ok that announces bytes which never come is refused at once', () =>
    afterTheRecord('hello-frame-too-large', frame(FRAME_TYPES.helloOk, NOTHING, { length: 2 ** 32 - 1 })))

  test('an ok whose reserved bytes are not zero is refused', () =>
    afterTheRecord('hello-frame-header-malformed', frame(FRAME_TYPES.helloOk, NOTHING, { reserved: [0, 0, 1] })))

  test('a refusal of more than 512 bytes is refused', () =>
    afterTheRecord('hello-frame-too-large', frame(FRAME_TYPES.helloRefused, new Uint8Array(513).fill(0x20))))

  test('a second record in place of the ok is refused', () =>
    afterTheRecord('hello-out-of-turn', frame(FRAME_TYPES.hello, mallory.hello())))

  test('a refusal of a hello that was not heard yet is refused', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts('peer', 'hello-out-of-turn', async () => {
      await mallory.sayHello(connection, frame(FRAME_TYPES.helloRefused, Buffer.from('no: because')))
      await closed(connection)
    })
  })

  test('what comes behind the ok ends its stream, is counted, and the connection goes on', async () => {
    const connection = await mallory.dial(node.address)
    const hello = await mallory.sayHello(connection, frame(FRAME_TYPES.hello, mallory.hello()))
    expect((await hello.framesCame(1))[0]!.type).toBe(FRAME_TYPES.hello)
    const ok = frame(FRAME_TYPES.helloOk, NOTHING)
    await node.counts(
      'peer',
      'hello-out-of-turn',
      async () => {
        await hello.send(Buffer.concat([ok, ok, ok]))
        await hello.gone()
      },
      1,
    )
    await node.accepts(await mallory.openBatches(connection))
    await connection.close()
  })

  test('a hello that ends half-way closes its connection', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts(
      'peer',
      'hello-frame-truncated',
      async () => {
        const bytes = frame(FRAME_TYPES.hello, mallory.hello())
        const stream = await mallory.sayHello(connection, bytes.subarray(0, 60))
        await stream.stream.close()
      },
      1,
    )
    await closed(connection)
  })

  test('a hello stream that is reset at once, at every step, closes its connection', async () => {
    for (const bytes of [NOTHING, frame(FRAME_TYPES.hello, mallory.hello()).subarray(0, 60)]) {
      const connection = await mallory.dial(node.address)
      const stream = await mallory.sayHello(connection, ...(bytes.length === 0 ? [] : [bytes]))
      stream.abort()
      await closed(connection)
    }
    const connection = await mallory.dial(node.address)
    const stream = await mallory.sayHello(connection, frame(FRAME_TYPES.hello, mallory.hello()))
    stream.abort()
    await closed(connection)
    await node.certifiesOne()
  })

  test('a second hello on a verified connection is refused, and the connection goes on', async () => {
    const connection = await mallory.connect(node.address)
    await node.counts(
      'peer',
      'hello-unexpected',
      async () => {
        // The reset may come before the stream is ours to write to.
        await mallory.sayHello(connection, frame(FRAME_TYPES.hello, mallory.hello())).catch(() => {})
      },
      1,
    )
    const batches = await mallory.openBatches(connection)
    await node.accepts(batches)
    await connection.close()
  })

  test('two hellos at once on one connection are one too many, and the first counts', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts(
      'peer',
      'hello-unexpected',
      async () => {
        const first = await mallory.open(connection, HELLO_PROTOCOL)
        const second = await mallory.open(connection, HELLO_PROTOCOL)
        await second.gone()
        await first.sendFrame(FRAME_TYPES.hello, mallory.hello())
        expect((await first.framesCame(1))[0]!.type).toBe(FRAME_TYPES.hello)
        await first.sendFrame(FRAME_TYPES.helloOk, NOTHING)
        await until('the hello is over', () => first.stream.remoteWriteStatus === 'closed')
      },
      1,
    )
    await node.accepts(await mallory.openBatches(connection))
    await connection.close()
  })

  test.each([BATCH_PROTOCOL, SYNC_PROTOCOL])('%s before the hello closes the connection', async (protocol) => {
    const connection = await mallory.dial(node.address)
    await node.counts(
      'peer',
      'stream-before-hello',
      async () => {
        const stream = await mallory.open(connection, protocol)
        await stream.send(frame(FRAME_TYPES.batch, node.batch())).catch(() => {})
        await closed(connection)
      },
      1,
    )
    await node.certifiesOne()
  })

  test('a batch between the record and the ok closes the connection', async () => {
    const connection = await mallory.dial(node.address)
    await node.counts(
      'peer',
      'stream-before-hello',
      async () => {
        const hello = await mallory.sayHello(connection, frame(FRAME_TYPES.hello, mallory.hello()))
        expect((await hello.framesCame(1))[0]!.type).toBe(FRAME_TYPES.hello)
        await mallory.openBatches(connection)
        await closed(connection)
      },
      1,
    )
  })

  test('a connection without a hello, or with half of one, is closed after a while', async () => {
    const connections = await Promise.all(
      [0, 1, 2].map(async (bytes) => {
        const peer = await node.peer(3, { networkKeySeed: new Uint8Array(32).fill(50 + bytes) })
        const connection = await peer.dial(node.address)
        if (bytes > 0) await peer.sayHello(connection, frame(FRAME_TYPES.hello, peer.hello()).subarray(0, bytes * 9))
        return connection
      }),
    )
    await node.counts('peer', 'hello-timeout', () => Promise.all(connections.map(closed)), 3)
    expect(node.refusalLines('peer', 'hello-timeout')).toHaveLength(1)
    await node.certifiesOne()
  })
})

test('peers whose ack_level is too low to count are connected, and are no quorum: health names them and what to do', async () => {
  const node = await WorkerUnderTest.start({ parameters: { ackLevel: 'durable' } })
  try {
    const peers = await Promise.all([1, 2].map((index) => node.peer(index)))
    const [first, second] = peers as [Libp2pPeer, Libp2pPeer]
    await first.connect(node.address, { ackLevel: ACK_LEVELS.durable })
    const connection = await second.connect(node.address, { ackLevel: ACK_LEVELS.stored })
    const health = node.worker.health()
    expect(health).toMatchObject({ ok: false, quorumConnected: false })
    const name = second.keys.name.slice(0, 16)
    expect(health.problems).toContainEqual(expect.stringMatching(/stake 2 is connected/))
    expect(health.problems.filter((problem) => problem.includes('ack_level'))).toEqual([
      expect.stringMatching(/ack_level stored, ours is durable/),
    ])
    expect(health.problems.join()).toContain(name)
    expect(node.lines.filter((line) => line.includes('lower ack_level'))).toEqual([expect.stringContaining(name)])
    // Once it has the same, it counts.
    await connection.close()
    await second.connect(node.address, { ackLevel: ACK_LEVELS.durable })
    await until('health is well', () => node.worker.health().ok)
    expect(node.worker.health().problems).toEqual([])
  } finally {
    await node.close()
  }
})

test('a worker that takes a lower ack_level than its peers have counts them', async () => {
  const node = await WorkerUnderTest.start({ parameters: { ackLevel: 'stored' } })
  try {
    for (const index of [1, 2]) {
      await (await node.peer(index)).connect(node.address, { ackLevel: ACK_LEVELS.durable })
    }
    expect(node.worker.health()).toMatchObject({ ok: true, problems: [] })
  } finally {
    await node.close()
  }
})

describe('the worker dials', () => {
  test('a peer with another batch_size: both are told both values, and its health says so', async () => {
    const node = await WorkerUnderTest.start()
    try {
      await node.honest(2, 3)
      const port = Number(node.addressOf(1).split('/').at(-1))
      const peer = await node.peer(1, { port, batchBytesMax: 1_000_000 })
      let told = ''
      peer.behaviour.onHelloStream = (stream) => {
        const raw = new RawStream(stream)
        const answer = async (): Promise<void> => {
          await raw.framesCame(1)
          await raw.sendFrame(FRAME_TYPES.hello, peer.hello())
          told = Buffer.from((await raw.framesCame(2))[1]!.payload).toString()
        }
        void answer().catch(ignoreGone)
      }
      await until('the peer is told', () => told !== '')
      expect(told).toMatch(/^wrong-batch-size: theirs is 1000000 bytes, ours 500000: .*batch_size/)
      await until('it is counted', async () => (await node.refusals('peer', 'hello-wrong-batch-size')) > 0)
      expect(node.worker.health()).toMatchObject({ ok: true, problems: [expect.stringContaining('1000000 bytes')] })
      await node.certifiesOne()
    } finally {
      await node.close()
    }
  })

  test('a peer that says ok with its record, or more than its record: neither is verified', async () => {
    const node = await WorkerUnderTest.start()
    try {
      await node.honest(2, 3)
      const port = Number(node.addressOf(1).split('/').at(-1))
      const peer = await node.peer(1, { port })
      const hello = frame(FRAME_TYPES.hello, peer.hello())
      const answers = [
        Buffer.concat([hello, frame(FRAME_TYPES.helloOk, NOTHING)]),
        Buffer.concat([hello, hello]),
        Buffer.concat([hello, frame(FRAME_TYPES.helloRefused, Buffer.from('no: after all'))]),
        frame(FRAME_TYPES.helloOk, NOTHING),
      ]
      let next = 0
      peer.behaviour.onHelloStream = (stream) => stream.send(answers[Math.min(next++, answers.length - 1)]!)
      await until('all were refused', async () => (await node.refusals('peer', 'hello-out-of-turn')) >= 4, 45_000)
      expect(peer.batchStreams).toHaveLength(0)
      await node.certifiesOne()
    } finally {
      await node.close()
    }
  })

  test('a peer that refuses its hello, for which it logs the reason', async () => {
    const node = await WorkerUnderTest.start()
    try {
      const port = Number(node.addressOf(1).split('/').at(-1))
      const peer = await node.peer(1, { port })
      let seen = 0
      peer.behaviour.onHelloStream = (stream) => {
        seen += 1
        // Every byte is the peer's to choose: what is logged of it is printable and one line.
        stream.send(frame(FRAME_TYPES.helloRefused, Buffer.from('go away\n\u001b[2J\u00e9')))
      }
      await until('the reason is logged', () =>
        node.lines.some((line) => /refuses our hello: go away\?\?\[2J/.test(line)),
      )
      expect(seen).toBeGreaterThan(0)
    } finally {
      await node.close()
    }
  })

  test('a peer that is somebody else, says nothing, or resets the stream, and the others are served', async () => {
    const node = await WorkerUnderTest.start()
    try {
      await node.honest(2, 3)
      const port = Number(node.addressOf(1).split('/').at(-1))
      const peer = await node.peer(1, { port })
      const answers: ((stream: Parameters<NonNullable<typeof peer.behaviour.onHelloStream>>[0]) => void)[] = [
        (stream) => stream.abort(new Error('no')),
        (stream) => void stream.close(),
        (stream) => stream.send(new Uint8Array(500).fill(0xff)),
        (stream) => stream.send(frame(FRAME_TYPES.hello, peer.hello({}, stranger.seed))),
        () => {},
      ]
      let next = 0
      peer.behaviour.onHelloStream = (stream) => answers[Math.min(next++, answers.length - 1)]!(stream)
      await until('all answers were given', () => next >= answers.length, 45_000)
      expect(await node.refusals('peer', 'hello-bad-signature')).toBe(1)
      await node.certifiesOne()
      peer.behaviour.onHelloStream = undefined
      await until('the worker has got through', () => peer.batchStreams.length > 0)
      expect(await node.refusals('peer', 'hello-timeout')).toBeGreaterThan(0)
    } finally {
      await node.close()
    }
  })
})

describe('a committee whose file names peer ids', () => {
  const named = (authorities: readonly number[]) => {
    return WorkerUnderTest.start({
      committee: async (file, keys) => {
        const entries = Object.entries(file.authorities)
        for (const [index, { name, seed }] of keys.entries()) {
          if (!authorities.includes(index)) continue
          const peerId = await peerIdOfSeed(deriveNetworkKeySeed(seed, 0))
          const entry = entries.find(([key]) => key === name)!
          entry[1] = { ...entry[1], workers: { 0: { ...entry[1].workers[0]!, peer_id: peerId } } }
        }
        return { authorities: Object.fromEntries(entries) }
      },
    })
  }
  const other = new Uint8Array(32).fill(44)
  const good = (changes: Partial<HelloRecord> = {}) => changes

  test('refuses the hello of a worker with another peer id than its name', async () => {
    const node = await named([1])
    try {
      const [mallory] = [await node.peer(1, { networkKeySeed: other })]
      const connection = await mallory.dial(node.address)
      await node.counts(
        'peer',
        'hello-peer-id-not-as-named',
        async () => {
          const stream = await mallory.sayHello(connection, frame(FRAME_TYPES.hello, mallory.hello(good())))
          expect(Buffer.from((await stream.framesCame(1))[0]!.payload).toString()).toMatch(/^peer-id-not-as-named: /)
        },
        1,
      )
      await closed(connection)
      await node.honest(1, 2)
      await node.certifiesOne()
    } finally {
      await node.close()
    }
  })

  test('refuses the connection of a peer id that is none of theirs, when all are named', async () => {
    const node = await named([0, 1, 2, 3])
    try {
      const mallory = await node.peer(1, { networkKeySeed: other })
      await node.counts(
        'peer',
        'peer-id-unknown',
        async () => {
          const connection = await mallory.dial(node.address).catch(() => undefined)
          if (connection !== undefined) await closed(connection)
        },
        1,
      )
      expect(node.refusalLines('peer', 'peer-id-unknown')).toHaveLength(1)
      await node.honest(1, 2)
      await node.certifiesOne()
    } finally {
      await node.close()
    }
  })
})

/** The other side went away: the test looks elsewhere. */
function ignoreGone(): void {}
