/**
 * An author's batches: to every peer in order, at most IN_FLIGHT_MAX without an ACK each; certified when a quorum has
 * them, the author included.
 */
import type { Progress } from './messages.js'
import { IN_FLIGHT_MAX, quorumOf } from './options.js'

export interface OwnBatch {
  readonly bytes: Uint8Array
  /** Milliseconds of `performance.now()` at the arrival of its first byte. */
  readonly beganMs: number
  /** Peers that it was not written to yet, and one for the author: its memory is in use. */
  unwritten: number
  holders: number
}

/** Writes a batch to one peer; `onWritten` is called when its memory may be used again. */
export type WriteBatch = (bytes: Uint8Array, onWritten: () => void) => void

interface Peer {
  readonly write: WriteBatch
  readonly queue: OwnBatch[]
  readonly inFlight: OwnBatch[]
}

export interface DisseminationHandlers {
  readonly onReleased: (batch: OwnBatch) => void
}

export class Dissemination {
  certifiedBytes = 0
  certifiedBatches = 0
  lastCertifiedMs = 0
  readonly latenciesMs: number[] = []
  private readonly handlers: DisseminationHandlers
  private readonly peers: Peer[] = []
  private readonly quorum: number

  constructor(nodes: number, handlers: DisseminationHandlers) {
    this.handlers = handlers
    this.quorum = quorumOf(nodes)
  }

  /** Adds a peer; returns what to call for each ACK of it. ACKs come in the order of the batches. */
  addPeer(write: WriteBatch): () => void {
    const peer: Peer = { write, queue: [], inFlight: [] }
    this.peers.push(peer)
    return () => {
      const batch = peer.inFlight.shift()
      if (batch !== undefined) this.held(batch)
      this.pump(peer)
    }
  }

  get peerCount(): number {
    return this.peers.length
  }

  /** A batch of our own. Its author has still to say that it does not need the memory (`written`), and that it holds it. */
  begin(bytes: Uint8Array, beganMs: number): OwnBatch {
    const batch: OwnBatch = { bytes, beganMs, unwritten: this.peers.length + 1, holders: 0 }
    for (const peer of this.peers) {
      peer.queue.push(batch)
      this.pump(peer)
    }
    return batch
  }

  /** One more authority has the batch at the level that ACKs stand for. */
  held(batch: OwnBatch): void {
    batch.holders += 1
    if (batch.holders !== this.quorum) return
    this.certifiedBytes += batch.bytes.length
    this.certifiedBatches += 1
    this.lastCertifiedMs = Date.now()
    this.latenciesMs.push(performance.now() - batch.beganMs)
  }

  /** What became of the batches that were begun, of so many bytes where the node makes them itself. */
  progress(begunBytes = 0): Progress {
    const { certifiedBatches, certifiedBytes, lastCertifiedMs, latenciesMs } = this
    return { certifiedBytes, certifiedBatches, lastCertifiedMs, latenciesMs, begunBytes }
  }

  written(batch: OwnBatch): void {
    batch.unwritten -= 1
    if (batch.unwritten === 0) this.handlers.onReleased(batch)
  }

  private pump(peer: Peer): void {
    while (peer.inFlight.length < IN_FLIGHT_MAX) {
      const batch = peer.queue.shift()
      if (batch === undefined) return
      peer.inFlight.push(batch)
      peer.write(batch.bytes, () => this.written(batch))
    }
  }
}
