/** Pairs of real libp2p streams: two nodes in this process, connected over loopback. */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { createLibp2pNode } from '../../src/main/network/libp2p-node.js'
import { createStockNode } from './stock-node.js'
import { within } from './until.js'

const PROTOCOL = '/test/1'

export class StreamPairs {
  private readonly nodes: readonly Libp2p[]
  private readonly connection: Connection
  /** How often a node has said that noise or yamux is not one that it knows. */
  readonly asShipped: () => number
  /** What both nodes have said that they allocated for messages. */
  allocatedBytes = 0
  private taken: ((stream: Stream) => void) | undefined
  /** One at a time, so that each end finds its other. */
  private last: Promise<unknown> = Promise.resolve()

  private constructor(nodes: readonly Libp2p[], connection: Connection, asShipped: () => number) {
    this.nodes = nodes
    this.connection = connection
    this.asShipped = asShipped
  }

  /** @param stock which of them is a node with default options, if one is */
  static async start(stock?: 'dialler' | 'listener'): Promise<StreamPairs> {
    let pairs: StreamPairs | undefined
    let asShipped = 0
    const nodes = await Promise.all(
      (['dialler', 'listener'] as const).map((role, index) => {
        const networkKeySeed = new Uint8Array(32).fill(index + 1)
        if (role === stock) return createStockNode(networkKeySeed)
        return createLibp2pNode({
          networkKeySeed,
          listen: { host: '127.0.0.1', port: 0 },
          authorities: 4,
          admits: () => true,
          gcRelief: {
            allocated: (bytes) => {
              if (pairs !== undefined) pairs.allocatedBytes += bytes
            },
          },
          onAsShipped: () => {
            asShipped += 1
          },
        })
      }),
    )
    const [dialler, listener] = nodes as [Libp2p, Libp2p]
    await listener.handle(PROTOCOL, (stream) => pairs?.taken?.(stream), { maxInboundStreams: 1000 })
    await listener.start()
    await dialler.start()
    pairs = new StreamPairs(nodes, await dialler.dial(listener.getMultiaddrs()), () => asShipped)
    return pairs
  }

  /**
   * A new stream: the end that opened it, and what `take` made of the other end as it was handed over, so that
   * listeners can be attached before anything is lost.
   */
  open<T>(take: (stream: Stream) => T): Promise<{ near: Stream; far: T }> {
    const opened = this.last.then(() => this.openOne(take))
    this.last = opened.catch(() => {})
    return opened
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }

  private async openOne<T>(take: (stream: Stream) => T): Promise<{ near: Stream; far: T }> {
    const far = new Promise<T>((resolve) => {
      this.taken = (stream) => resolve(take(stream))
    })
    const near = await this.connection.newStream([PROTOCOL], { maxOutboundStreams: 1000 })
    return { near, far: await within('the stream is handed over', far) }
  }
}
