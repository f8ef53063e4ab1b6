/** libp2p with the packages and settings of the product (src/main/network/libp2p-node.ts), and nothing around them. */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Libp2p } from '@libp2p/interface'
import { type TCPSocketOptions, tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { STREAM_WINDOW_BYTES, STREAM_WINDOW_INITIAL_BYTES } from '../../src/shared/constants.js'

const SOCKET_OPTIONS = { highWaterMark: 512 * 1024 } as TCPSocketOptions
/** Bytes handed to a stream at once: with yamux's header, four messages of noise. */
export const SLICE_BYTES = 4 * 65_519 - 12

/** @param nodes of the mesh: all of them come from one host, at once */
export function createMeshLibp2p(nodes: number): Promise<Libp2p> {
  return createLibp2p({
    start: false,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp({ dialOpts: SOCKET_OPTIONS, listenOpts: SOCKET_OPTIONS })],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        streamOptions: {
          // As yamux's specification has it; who reads batches widens it (mesh-node.ts).
          initialStreamWindowSize: STREAM_WINDOW_INITIAL_BYTES,
          maxStreamWindowSize: STREAM_WINDOW_BYTES,
          maxReadBufferLength: STREAM_WINDOW_BYTES + 1024,
        },
      }),
    ],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
    connectionManager: {
      inboundConnectionThreshold: 4 * nodes,
      maxIncomingPendingConnections: 4 * nodes,
      reconnectRetries: 0,
    },
  })
}
