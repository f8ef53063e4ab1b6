/**
 * A real libp2p node that can act as any worker of a committee, and that speaks every protocol by hand: well, badly, or
 * not at all.
 */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2pNode, peerIdOfSeed } from '../../src/main/network/libp2p-node.js'
import { BATCH_PROTOCOL, HELLO_PROTOCOL, SYNC_PROTOCOL } from '../../src/main/network/protocols.js'
import { type Committee, committeeDigest } from '../../src/shared/config/committee.js'
import type { Keys } from '../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { defaultParameters } from '../../src/shared/config/parameters.js'
import { PROTOCOL_VERSION } from '../../src/shared/constants.js'
import { signer } from '../../src/shared/crypto/ed25519.js'
import { ACK_LEVELS } from '../../src/shared/wire/ack.js'
import { readBatchHeader } from '../../src/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf } from '../../src/shared/wire/digest.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { encodeHello, type HelloRecord } from '../../src/shared/wire/hello.js'
import { frame, type RawAck, RawStream } from './raw-stream.js'
import { createStockNode } from './stock-node.js'
import { until, within } from './until.js'

export interface Libp2pPeerOptions {
  readonly keys: Keys
  readonly committee: Committee
  /** Default: that of the authority's worker 0. */
  readonly networkKeySeed?: Uint8Array
  /** Default: a port that nobody knows. */
  readonly port?: number
  /** A node with the packages' default options instead of one that is made as the worker's is. */
  readonly stock?: boolean
  /** What its hello says; default: that of the default parameters. */
  readonly batchBytesMax?: number
}

export interface ReceivedBatch {
  readonly bytes: Uint8Array
  readonly sequence: bigint
  readonly stream: RawStream
}

/** What the peer does with the streams that are opened to it. All may be replaced at any time. */
export interface PeerBehaviour {
  /** Answers a batch; the default stores it in `batches` and acknowledges it. */
  onBatch: (batch: ReceivedBatch) => void
  /** Takes a batch stream; undefined: frames are read and handed to `onBatch`. */
  onBatchStream: ((stream: Stream) => void) | undefined
  /** Takes a sync stream; undefined: it is reset. */
  onSyncStream: ((stream: Stream) => void) | undefined
  /** Takes a hello stream as the listener; undefined: the exchange is done as it should be. */
  onHelloStream: ((stream: Stream, connection: Connection) => void) | undefined
}

export class Libp2pPeer {
  readonly node: Libp2p
  readonly keys: Keys
  readonly batches: ReceivedBatch[] = []
  /** Batch streams that were opened to us, the oldest first. */
  readonly batchStreams: RawStream[] = []
  readonly behaviour: PeerBehaviour = {
    onBatch: (batch) => void this.acknowledge(batch),
    onBatchStream: undefined,
    onSyncStream: undefined,
    onHelloStream: undefined,
  }
  private readonly committee: Committee
  private readonly batchBytesMax: number
  private readonly author: Uint8Array

  private constructor(node: Libp2p, options: Libp2pPeerOptions, author: Uint8Array) {
    this.node = node
    this.keys = options.keys
    this.committee = options.committee
    this.batchBytesMax = options.batchBytesMax ?? defaultParameters().batchBytesMax
    this.author = author
  }

  /** @param author public key of the worker under test: whose batches it sends us */
  static async start(options: Libp2pPeerOptions, author: Uint8Array): Promise<Libp2pPeer> {
    const networkKeySeed = options.networkKeySeed ?? deriveNetworkKeySeed(options.keys.seed, 0)
    const listen = { host: '127.0.0.1', port: options.port ?? 0 }
    const node = options.stock
      ? await createStockNode(networkKeySeed, listen.port)
      : await createLibp2pNode({ networkKeySeed, listen, authorities: 64, admits: () => true })
    const peer = new Libp2pPeer(node, options, author)
    const limits = { maxInboundStreams: 64, maxOutboundStreams: 256 }
    await node.handle(HELLO_PROTOCOL, (stream, connection) => peer.onHello(stream, connection), limits)
    await node.handle(BATCH_PROTOCOL, (stream) => peer.onBatchStream(stream), limits)
    await node.handle(
      SYNC_PROTOCOL,
      (stream) => {
        const { onSyncStream } = peer.behaviour
        if (onSyncStream === undefined) stream.abort(new Error('no sync here'))
        else onSyncStream(stream)
      },
      limits,
    )
    await node.start()
    return peer
  }

  get peerId(): string {
    return this.node.peerId.toString()
  }

  /** A hello record; what is not given is as it should be. */
  record(changes: Partial<HelloRecord> = {}): HelloRecord {
    return {
      protocolVersion: PROTOCOL_VERSION,
      authority: this.keys.publicKey,
      workerId: 0,
      peerId: this.peerId,
      addresses: [],
      committeeDigest: committeeDigest(this.committee),
      timeMs: Date.now(),
      nodeVersion: 'test peer',
      batchBytesMax: this.batchBytesMax,
      ackLevel: ACK_LEVELS.stored,
      ...changes,
    }
  }

  /** A hello, signed by the peer's key unless another seed is given. */
  hello(changes: Partial<HelloRecord> = {}, seed = this.keys.seed): Uint8Array {
    return encodeHello(this.record(changes), signer(seed))
  }

  /** A connection without a hello. */
  dial(address: string): Promise<Connection> {
    return this.node.dial(multiaddr(address), { signal: AbortSignal.timeout(20_000), force: true })
  }

  async open(connection: Connection, protocol: string): Promise<RawStream> {
    return new RawStream(
      await connection.newStream([protocol], { maxOutboundStreams: 256, signal: AbortSignal.timeout(20_000) }),
    )
  }

  /** Says these bytes on a hello stream and returns it; what comes back is in its frames. */
  async sayHello(connection: Connection, ...bytes: Uint8Array[]): Promise<RawStream> {
    const stream = await this.open(connection, HELLO_PROTOCOL)
    await stream.send(...bytes)
    return stream
  }

  /** Dials and is verified. */
  async connect(address: string, changes: Partial<HelloRecord> = {}): Promise<Connection> {
    const connection = await this.dial(address)
    await this.verify(connection, changes)
    return connection
  }

  /** The dialler's part of a good hello. */
  async verify(connection: Connection, changes: Partial<HelloRecord> = {}): Promise<void> {
    const stream = await this.sayHello(connection, frame(FRAME_TYPES.hello, this.hello(changes)))
    const [answer] = await stream.framesCame(1)
    if (answer!.type !== FRAME_TYPES.hello) throw new Error(`refused: ${Buffer.from(answer!.payload)}`)
    await stream.sendFrame(FRAME_TYPES.helloOk, new Uint8Array(0))
    await until('the hello is over', () => stream.stream.remoteWriteStatus === 'closed')
    await stream.stream.close()
  }

  openBatches(connection: Connection): Promise<RawStream> {
    return this.open(connection, BATCH_PROTOCOL)
  }

  openSync(connection: Connection): Promise<RawStream> {
    return this.open(connection, SYNC_PROTOCOL)
  }

  /** Waits until the worker has sent so many batches in all. */
  async batchesCame(count: number): Promise<readonly ReceivedBatch[]> {
    await until(
      () => `${count} batches (${this.batches.length} came)`,
      () => this.batches.length >= count,
    )
    return this.batches
  }

  /** The ACK that a batch of the worker's deserves. */
  ackOf(batch: ReceivedBatch): RawAck {
    const digest = digestOf(batch.bytes, this.author)
    return { sequence: batch.sequence, digest, level: ACK_LEVELS.stored, status: 0 }
  }

  async acknowledge(batch: ReceivedBatch): Promise<void> {
    if (!batch.stream.isOpen) return
    await batch.stream.sendAck(this.ackOf(batch)).catch(() => {})
  }

  async stop(): Promise<void> {
    await within('the peer stops', Promise.resolve(this.node.stop()))
  }

  private onHello(stream: Stream, connection: Connection): void {
    const { onHelloStream } = this.behaviour
    if (onHelloStream !== undefined) {
      onHelloStream(stream, connection)
      return
    }
    const raw = new RawStream(stream)
    const answer = async (): Promise<void> => {
      await raw.framesCame(1)
      await raw.sendFrame(FRAME_TYPES.hello, this.hello())
      await raw.framesCame(2)
      await stream.close()
    }
    // At any of these steps the other end may be gone.
    void answer().catch(ignoreGone)
  }

  private onBatchStream(stream: Stream): void {
    const { onBatchStream } = this.behaviour
    if (onBatchStream !== undefined) {
      onBatchStream(stream)
      return
    }
    const raw = new RawStream(stream)
    this.batchStreams.push(raw)
    let handled = 0
    stream.addEventListener('message', () => {
      for (; handled < raw.frames.length; handled += 1) {
        const { payload: bytes } = raw.frames[handled]!
        const batch = { bytes, sequence: readBatchHeader(bytes).sequence, stream: raw }
        this.batches.push(batch)
        this.behaviour.onBatch(batch)
      }
    })
  }
}

export function digestOf(batch: Uint8Array, author: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32)
  new BatchDigester(batch.length).digest(batch, chunkStartsOf(batch), author, digest)
  return digest
}

export { peerIdOfSeed }

/** The other side went away: the test that made it do so looks elsewhere. */
function ignoreGone(): void {}
