/** The lines with which a worker says at boot what it is; the reference's scripts read some of them. */
import { formatTcpAddress } from '../../shared/config/address.js'
import type { Committee } from '../../shared/config/committee.js'
import type { Parameters } from '../../shared/config/parameters.js'
import { PROTOCOL_VERSION, RESEND_SLOTS } from '../../shared/constants.js'
import { type Layout, syncSlotsPerPeer } from '../../shared/memory/layout.js'
import { mebibytes } from '../lib/mebibytes.js'
import { NODE_VERSION } from '../lib/version.js'

export interface BootLogOptions {
  readonly committee: Committee
  readonly ownIndex: number
  readonly workerId: number
  readonly parameters: Parameters
  readonly store: string
  readonly peerId: string
  /** Multiaddrs at which others may reach it. */
  readonly addresses: readonly string[]
  /** The port that it listens on for other workers. */
  readonly port: number
  /** The address that listeners bind. */
  readonly bind: string
  /** Whether clients may connect. */
  readonly clients: boolean
  readonly layout: Layout
}

export function bootLines(options: BootLogOptions): readonly string[] {
  const { addresses, bind, clients, committee, layout, ownIndex, parameters, peerId, port, store, workerId } = options
  const { transactions } = committee.knownWorker(ownIndex, workerId)
  const known = addresses.map((address) => `${address}/p2p/${peerId}`)
  const peers = committee.size - 1
  const at = (port: number): string => formatTcpAddress({ host: bind, port })
  return [
    `${NODE_VERSION}, protocol ${PROTOCOL_VERSION}, Node ${process.versions.node}, authority ${committee.authorities[ownIndex]!.name}, peer id ${peerId}`,
    `Shared memory: ${mebibytes(layout.bytes)} = ${layout.own.slots} own slots (${parameters.ownSlots} + ${RESEND_SLOTS}) and ${layout.inbound.slots} inbound slots (${peers} × ${parameters.inboundSlotsPerPeer} + ${peers} × ${syncSlotsPerPeer(layout.options)}) of ${parameters.batchBytesMax} B, and rings`,
    `Garbage collection depth set to ${parameters.gcDepthRounds} rounds`,
    `Sync retry delay set to ${parameters.syncRetryDelayMs} ms`,
    `Sync retry nodes set to ${parameters.syncRetryNodes} nodes`,
    `Batch size set to ${parameters.batchBytesMax} B`,
    `Max batch delay set to ${parameters.maxBatchDelayMs} ms`,
    `ACK level set to ${parameters.ackLevel}, store ${store}`,
    clients && transactions
      ? `Listening for transactions on ${at(transactions.port)}`
      : 'Not listening for transactions',
    `Listening for workers on ${at(port)}; others know it as ${known.join(', ') || 'nothing'}`,
    `Worker ${workerId} successfully booted on ${transactions?.host ?? bind}`,
  ]
}
