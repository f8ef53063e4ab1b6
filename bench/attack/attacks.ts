/** The attackers. Each is at a stated rate, and over when its time is. They are those of test/hostile. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '@libp2p/interface'
import { BATCH_PROTOCOL } from '../../src/main/network/protocols.js'
import { parseCommittee } from '../../src/shared/config/committee.js'
import { readKeys } from '../../src/shared/config/keys.js'
import { REQUEST_DIGESTS_MAX } from '../../src/shared/constants.js'
import { encodeBatch } from '../../src/shared/wire/batch.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { encodePrimaryWorkerMessage } from '../../src/shared/wire/primary-messages.js'
import { encodeFrame } from '../../src/shared/wire/reference-frame.js'
import { encodeDigests } from '../../src/shared/wire/sync-messages.js'
import { Libp2pPeer } from '../../test/support/libp2p-peer.js'
import {
  FLAGS,
  frames,
  header,
  isOpen,
  proposal,
  sendToMuxer,
  stopReading,
  TYPES,
} from '../../test/support/raw-muxer.js'
import { ackRecord, frame, type RawStream } from '../../test/support/raw-stream.js'
import type { Attack, Task } from './protocol.js'

export interface Attacker {
  readonly run: (endMs: number) => Promise<void>
  readonly done: () => number
  readonly ended: () => number
}

type AttackTask = Extract<Task, { kind: 'attack' }>

const TICK_MS = 20
const GREETING = Buffer.concat([Buffer.from([19]), Buffer.from('/multistream/1.0.0\n')])
/** How often one that was closed comes back, at most. */
const RECONNECT_MS = 50
/** ACKs in one piece: as many as a worker with the default parameters has slots. */
const ACKS_AT_ONCE = 32

/** Does so many a second, in small portions, until the end. What falls due while nothing can be done is not caught up. */
async function atRate(perS: number, endMs: number, act: (count: number) => void | Promise<void>): Promise<void> {
  let owed = 0
  let lastMs = performance.now()
  while (performance.now() < endMs) {
    const nowMs = performance.now()
    owed = Math.min(owed + ((nowMs - lastMs) * perS) / 1000, perS / 2)
    lastMs = nowMs
    const count = Math.floor(owed)
    owed -= count
    if (count > 0) await act(count)
    await sleep(TICK_MS)
  }
}

function addressOf(port: number): string {
  return `/ip4/127.0.0.1/tcp/${port}`
}

async function peerOf(task: AttackTask): Promise<Libp2pPeer> {
  const committee = parseCommittee(JSON.parse(readFileSync(task.committeeFile, 'utf8')), task.committeeFile)
  const { batchBytesMax } = task
  return Libp2pPeer.start(
    { keys: readKeys(task.keysFile), committee, batchBytesMax },
    Buffer.from(task.targets[0]!.publicKey, 'base64'),
  )
}

/** A connection that is made anew whenever the victim has closed it. */
function onConnection(connectAgain: () => Promise<Connection>, send: (connection: Connection, count: number) => void) {
  return (task: AttackTask): Attacker => {
    let connection: Connection | undefined
    let done = 0
    let ended = 0
    return {
      run: (endMs) =>
        atRate(task.rate, endMs, async (count) => {
          if (connection !== undefined && !isOpen(connection)) {
            ended += 1
            connection = undefined
            await sleep(RECONNECT_MS)
          }
          connection ??= await connectAgain().catch(() => undefined)
          if (connection === undefined) return
          send(connection, count)
          done += count
        }),
      done: () => done,
      ended: () => ended,
    }
  }
}

/** One multistream proposal after the other on one stream that never comes to an agreement. */
function propose(connection: Connection, count: number): void {
  const begun = connection as unknown as { narvalStream?: true }
  const bytes = frames(count, () => proposal('x'))
  if (begun.narvalStream) sendToMuxer(connection, Buffer.concat([header(TYPES.data, 0, 4001, bytes.length), bytes]))
  else {
    const first = Buffer.concat([GREETING, bytes])
    sendToMuxer(connection, Buffer.concat([header(TYPES.data, FLAGS.syn, 4001, first.length), first]))
  }
  begun.narvalStream = true
}

const pings = (connection: Connection, count: number): void =>
  sendToMuxer(
    connection,
    frames(count, (id) => header(TYPES.ping, FLAGS.syn, 0, id)),
  )

const MAKERS: Readonly<Record<Attack, (task: AttackTask) => Promise<Attacker>>> = {
  pings: async (task) => {
    const peer = await peerOf(task)
    return onConnection(() => peer.dial(addressOf(task.targets[0]!.workerPort)), pings)(task)
  },
  proposals: async (task) => {
    const peer = await peerOf(task)
    return onConnection(() => peer.dial(addressOf(task.targets[0]!.workerPort)), propose)(task)
  },
  'unread-pongs': async (task) => {
    const peer = await peerOf(task)
    const verified = async (): Promise<Connection> => {
      const connection = await peer.connect(addressOf(task.targets[0]!.workerPort))
      stopReading(connection)
      return connection
    }
    return onConnection(verified, pings)(task)
  },
  flood: async (task) => {
    const peer = await peerOf(task)
    const updates = (connection: Connection, count: number): void =>
      sendToMuxer(
        connection,
        frames(count, () => header(TYPES.windowUpdate, 0, 4001, 0)),
      )
    return onConnection(() => peer.connect(addressOf(task.targets[0]!.workerPort)), updates)(task)
  },
  synchronize: async (task) => synchronizeFlood(task),
  'tiny-batches': async (task) => tinyBatches(task),
  'reset-requests': async (task) => resetRequests(task),
  clients: async (task) => hoardingClients(task),
  strangers: async (task) => silentStrangers(task),
  'stray-acks': async (task) => strayAcks(task),
  'half-open-streams': async (task) => {
    const peer = await peerOf(task)
    const open = streamOpener(() => GREETING)
    return onConnection(() => peer.connect(addressOf(task.targets[0]!.workerPort)), open)(task)
  },
  'reset-streams': async (task) => {
    const peer = await peerOf(task)
    const bytes = Buffer.concat([GREETING, proposal(BATCH_PROTOCOL)])
    const open = streamOpener(
      () => bytes,
      (id) => header(TYPES.windowUpdate, FLAGS.rst, id, 0),
    )
    return onConnection(() => peer.connect(addressOf(task.targets[0]!.workerPort)), open)(task)
  },
}

export function prepare(task: AttackTask): Promise<Attacker> {
  return MAKERS[task.attack](task)
}

/** From ten sources, and with 64 connections that say nothing beside them. */
function synchronizeFlood(task: AttackTask): Attacker {
  const [{ primaryToWorkerPort: port, publicKey }] = task.targets as [AttackTask['targets'][0]]
  const digests = task.digests.slice(0, 100).map((digest) => Buffer.from(digest, 'base64'))
  const target = Buffer.from(publicKey, 'base64')
  const bytes = encodeFrame(encodePrimaryWorkerMessage({ type: 'Synchronize', digests, target }))
  const sources = Array.from({ length: 10 }, (_, i) => new Reconnecting(port, `127.0.0.${20 + i}`))
  const idle = Array.from({ length: 64 }, (_, i) => new Reconnecting(port, `127.0.0.${40 + i}`))
  let done = 0
  return {
    run: async (endMs) => {
      for (const each of idle) each.socket()
      await atRate(task.rate, endMs, (count) => {
        for (let i = 0; i < count; i += 1) {
          done += 1
          sources[done % sources.length]!.socket().write(bytes)
        }
      })
      for (const each of [...sources, ...idle]) each.close()
    },
    done: () => done,
    ended: () => [...sources, ...idle].reduce((sum, each) => sum + each.ended, 0),
  }
}

/** A member that sends every worker the smallest batches that there are, as fast as it is let. */
async function tinyBatches(task: AttackTask): Promise<Attacker> {
  const peer = await peerOf(task)
  const open = async ({ workerPort }: { workerPort: number }): Promise<RawStream> =>
    peer.openBatches(await peer.connect(addressOf(workerPort)))
  const streams = await Promise.all(task.targets.map(open))
  let sequence = BigInt(Date.now()) << 20n
  let done = 0
  return {
    run: async (endMs) => {
      await Promise.all(
        streams.map((stream) =>
          atRate(task.rate, endMs, async (count) => {
            // What a peer in good faith may have unanswered is far less.
            if (!stream.isOpen || stream.stream.writeBufferLength > 1024 * 1024) return
            for (let i = 0; i < count; i += 1) {
              sequence += 1n
              void stream
                .sendFrame(FRAME_TYPES.batch, encodeBatch([Uint8Array.of(1)], { workerId: 0, sequence }))
                .catch(() => {})
            }
            done += count
          }),
        ),
      )
    },
    done: () => done,
    ended: () => streams.filter((stream) => !stream.isOpen).length,
  }
}

/** A member that asks for as many batches as it may, and resets the stream when the reply has begun. */
async function resetRequests(task: AttackTask): Promise<Attacker> {
  const peer = await peerOf(task)
  const address = addressOf(task.targets[0]!.workerPort)
  let connection = await peer.connect(address)
  const request = encodeDigests(task.digests.slice(0, REQUEST_DIGESTS_MAX).map((it) => Buffer.from(it, 'base64')))
  let done = 0
  let ended = 0
  const askAndLeave = async (): Promise<void> => {
    const stream = await peer.openSync(connection)
    await stream.sendFrame(FRAME_TYPES.request, request)
    stream.stream.pause()
    await sleep(50)
    stream.stream.abort(new Error('it was only to have it read'))
  }
  return {
    run: (endMs) =>
      atRate(task.rate, endMs, async (count) => {
        if (!isOpen(connection)) {
          ended += 1
          connection = await peer.connect(address)
        }
        for (let i = 0; i < count; i += 1) {
          done += 1
          void askAndLeave().catch(() => {})
        }
      }),
    done: () => done,
    ended: () => ended,
  }
}

/** A member that answers what it was never sent, on the stream that brings it batches. */
async function strayAcks(task: AttackTask): Promise<Attacker> {
  const peer = await peerOf(task)
  const address = addressOf(task.targets[0]!.workerPort)
  let connection = await peer.connect(address)
  let sequence = 1n
  let done = 0
  const ackFrame = (): Uint8Array => {
    sequence += 1n
    return frame(FRAME_TYPES.ack, ackRecord({ sequence, digest: new Uint8Array(32), level: 1, status: 0 }))
  }
  return {
    run: (endMs) =>
      atRate(task.rate, endMs, async (count) => {
        if (!isOpen(connection)) connection = await peer.connect(address)
        const stream = peer.batchStreams.at(-1)
        if (stream === undefined || !stream.isOpen || stream.stream.writeBufferLength > 1024 * 1024) return
        // As many as may be under judgement, so that none is one too many for that alone.
        for (let left = count; left > 0 && stream.isOpen; left -= ACKS_AT_ONCE) {
          const some = Math.min(left, ACKS_AT_ONCE)
          void stream.send(Buffer.concat(Array.from({ length: some }, ackFrame))).catch(() => {})
          done += some
          await nextTurn()
        }
      }),
    done: () => done,
    ended: () => peer.batchStreams.length - 1,
  }
}

/** Opens streams of its own with these bytes and what follows them. */
function streamOpener(bytesOf: () => Uint8Array, after: (id: number) => Uint8Array = () => new Uint8Array(0)) {
  let id = 4001
  return (connection: Connection, count: number): void => {
    const open = (): Uint8Array => {
      id += 2
      const bytes = bytesOf()
      return Buffer.concat([header(TYPES.data, FLAGS.syn, id, bytes.length), bytes, after(id)])
    }
    sendToMuxer(connection, frames(count, open))
  }
}

/** 248 half frames of one source, 64 MiB together, and 1,024 connections of another that say nothing. */
function hoardingClients(task: AttackTask): Attacker {
  const port = task.targets[0]!.transactionsPort
  const half = Buffer.alloc(4 + Math.floor((64 * 1024 * 1024) / 248))
  half.writeUInt32BE(400_000)
  const greedy = Array.from({ length: 248 }, () => new Reconnecting(port, '127.0.0.2', half))
  const mute = Array.from({ length: 1024 }, () => new Reconnecting(port, '127.0.0.4'))
  const all = [...greedy, ...mute]
  let done = 0
  return {
    run: async (endMs) => {
      await atRate(task.rate, endMs, (count) => {
        for (let i = 0; i < count; i += 1) all[done++ % all.length]!.socket()
      })
      for (const each of all) each.close()
    },
    done: () => done,
    ended: () => all.reduce((sum, each) => sum + each.ended, 0),
  }
}

/** So many new connections a second that say nothing; each is kept for as long as the victim keeps it. */
function silentStrangers(task: AttackTask): Attacker {
  const open = new Set<Socket>()
  let done = 0
  let ended = 0
  return {
    run: async (endMs) => {
      await atRate(task.rate, endMs, (count) => {
        for (let i = 0; i < count; i += 1) {
          const socket = connect({ host: '127.0.0.1', port: task.targets[0]!.workerPort })
          open.add(socket)
          socket.on('error', () => {})
          socket.on('close', () => {
            open.delete(socket)
            ended += 1
          })
          socket.resume()
          done += 1
        }
      })
      for (const socket of open) socket.destroy()
    },
    done: () => done,
    ended: () => ended,
  }
}

/** A place on a port: a socket that is opened again at the next use when it was closed. */
class Reconnecting {
  ended = 0
  private current: Socket | undefined
  private readonly port: number
  private readonly localAddress: string
  private readonly first: Uint8Array | undefined

  constructor(port: number, localAddress: string, first?: Uint8Array) {
    this.port = port
    this.localAddress = localAddress
    this.first = first
  }

  socket(): Socket {
    if (this.current !== undefined) return this.current
    const socket = connect({ host: '127.0.0.1', port: this.port, localAddress: this.localAddress })
    this.current = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.ended += 1
      if (this.current === socket) this.current = undefined
    })
    socket.resume()
    if (this.first !== undefined) socket.write(this.first)
    return socket
  }

  close(): void {
    this.current?.removeAllListeners('close')
    this.current?.destroy()
  }
}
