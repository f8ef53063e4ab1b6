/**
 * Main's end of the port to the primary's thread. What main says in a turn of its event loop is posted together, and what
 * the thread says is handed on.
 *
 * Each peer has credits for its messages: while it has none, its stream is not read, and so the peer waits.
 */
import type { MessagePort } from 'node:worker_threads'
import { PRIMARY_INBOUND_BYTES_MAX, PRIMARY_INBOUND_MESSAGES_MAX } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import type { PrimaryInput, PrimaryToMain } from '../../shared/memory/dialogue/primary.js'
import type { BatchEntry } from '../../shared/wire/primary/header.js'
import { Deque } from '../lib/deque.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'

export type BatchType = 'own-batch' | 'others-batch'

export interface PrimaryClientHandlers {
  /** What the thread says, but for what this client itself takes of it. */
  readonly onOutput: (output: PrimaryToMain) => void
  /** Some of this peer's messages were taken: there are credits for more. */
  readonly onCredit: (peer: number) => void
  /** A worker of ours hands a batch over. */
  readonly onBatch?: (type: BatchType, batch: BatchEntry) => void
}

interface WorkerStoreCall {
  readonly worker: number
  readonly resolve: (highestSequence: bigint) => void
  readonly reject: (error: Error) => void
}

interface Credits {
  messages: number
  bytes: number
}

export class PrimaryClient {
  private readonly port: MessagePort
  private readonly handlers: PrimaryClientHandlers
  private readonly supervisor: Supervisor
  /** By authority: what the thread has and did not take yet. */
  private readonly handedOver: Credits[]
  /** Batches that the primary's store does not have yet, in order; bounded by what each worker may have under way. */
  private readonly batches = new Deque<{ resolve: () => void; reject: (error: Error) => void }>()
  /** Workers that have said which store they have, and have no answer yet: one call of each at its start. */
  private workerStores: WorkerStoreCall[] = []
  private inputs: PrimaryInput[] = []
  private isScheduled = false
  private isClosed = false

  constructor(
    port: MessagePort,
    authorities: number,
    handlers: PrimaryClientHandlers,
    supervisor: Supervisor = unsupervised,
  ) {
    this.port = port
    this.handlers = handlers
    this.supervisor = supervisor
    this.handedOver = Array.from({ length: authorities }, () => ({ messages: 0, bytes: 0 }))
    const onMessage = supervisor.guard('what the primary says', (output: PrimaryToMain) => this.take(output))
    port.on('message', onMessage)
  }

  /** Whether the thread may be handed a message of this peer. */
  hasCredit(peer: number): boolean {
    const { bytes, messages } = this.handedOver[peer]!
    return messages < PRIMARY_INBOUND_MESSAGES_MAX && bytes < PRIMARY_INBOUND_BYTES_MAX
  }

  /** Messages of a peer that the thread has and did not take yet. */
  inbound(peer: number): number {
    return this.handedOver[peer]!.messages
  }

  /** A record of a peer, which has a credit for it. The memory is the client's from now on. */
  message(from: number, bytes: Uint8Array): void {
    const handedOver = this.handedOver[from]!
    handedOver.messages += 1
    handedOver.bytes += bytes.length
    this.say({ type: 'message', from, bytes })
  }

  connected(peer: number): void {
    this.say({ type: 'peer-connected', peer })
  }

  disconnected(peer: number): void {
    this.say({ type: 'peer-disconnected', peer })
  }

  /**
   * Which store a worker of ours has: to be said before any of its batches. Resolves with the highest sequence of its batches
   * that the primary knows of; rejects with ERR_CLOSED.
   */
  workerStore(worker: number, storeId: Uint8Array): Promise<bigint> {
    if (this.isClosed) return Promise.reject(closed())
    return new Promise((resolve, reject) => {
      this.workerStores.push({ worker, resolve, reject })
      this.say({ type: 'worker-store', worker, storeId })
    })
  }

  /**
   * Our worker has a batch. Resolves when the primary's store has that; rejects with ERR_CLOSED if it may not.
   *
   * @param isDelivered its author's worker itself handed it over
   */
  batch(type: BatchType, batch: BatchEntry, isDelivered = false): Promise<void> {
    if (this.isClosed) return Promise.reject(closed())
    this.handlers.onBatch?.(type, batch)
    return new Promise((resolve, reject) => {
      this.batches.pushBack({ resolve, reject })
      this.say(type === 'own-batch' ? { type, batch } : { type, batch, isDelivered })
    })
  }

  /** Ends the thread: it closes the store and returns. */
  close(): void {
    this.isClosed = true
    this.port.close()
    for (let batch = this.batches.popFront(); batch !== undefined; batch = this.batches.popFront()) {
      batch.reject(closed())
    }
    for (const { reject } of this.workerStores.splice(0)) reject(closed())
  }

  private say(input: PrimaryInput): void {
    if (this.isClosed) return
    this.inputs.push(input)
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(this.supervisor.guard('what the primary is told', () => this.post()))
  }

  private post(): void {
    this.isScheduled = false
    const { inputs } = this
    this.inputs = []
    if (!this.isClosed) this.port.postMessage(inputs)
  }

  private take(output: PrimaryToMain): void {
    if (this.isClosed) return
    for (let left = output.batchesStored; left > 0; left -= 1) this.batches.popFront()!.resolve()
    for (const { bytes, from, messages } of output.taken) {
      const handedOver = this.handedOver[from]!
      handedOver.messages -= messages
      handedOver.bytes -= bytes
      this.handlers.onCredit(from)
    }
    for (const request of output.requests) if (request.type === 'sequences-after') this.answer(request)
    this.handlers.onOutput(output)
  }

  /** The primary answers in the order in which it was told. */
  private answer({ sequence, worker }: { readonly worker: number; readonly sequence: bigint }): void {
    const at = this.workerStores.findIndex((call) => call.worker === worker)
    if (at !== -1) this.workerStores.splice(at, 1)[0]!.resolve(sequence)
  }
}

function closed(): NarvalError {
  return new NarvalError('ERR_CLOSED', 'the primary is closed')
}
