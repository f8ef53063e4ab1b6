/**
 * One client's connection: cuts its byte stream into whole frames for the BatchMaker.
 *
 * What a chunk from the socket holds in whole frames goes to the slot straight from the chunk; only the frame that a
 * chunk ends in is kept, in `carry`, which grows with the bytes that have come and never with the length announced.
 * When the BatchMaker has no slot, or the half frames of all clients have no memory left, the rest of the chunk is kept,
 * the socket is paused, and TCP tells the client.
 */
import type { Socket } from 'node:net'
import { TRANSACTION_PREFIX_BYTES } from '../../shared/constants.js'
import type { ClientRefusal } from '../../shared/refusals.js'
import { readUint32Be } from '../../shared/wire/uint32.js'
import type { BatchMaker } from './batch-maker.js'
import type { CarryBudget } from './carry-budget.js'
import { foreignProtocol } from './foreign-protocol.js'
import { frameProgress } from './frame-progress.js'
import { CLIENT_CARRY_BASE_BYTES } from './limits.js'

export interface ClientConnectionDependencies {
  readonly batchMaker: BatchMaker
  readonly carryBudget: Pick<CarryBudget<ClientConnection>, 'claim' | 'progress' | 'hold' | 'free'>
  readonly nowMs: () => number
  /** It has sent at least one whole transaction. */
  readonly onSpoke: (connection: ClientConnection, nowMs: number) => void
  /** It waits for a free slot, or for memory: call `proceed` when there is some. */
  readonly onBlocked: (connection: ClientConnection, waitsFor: 'slot' | 'memory') => void
  /** The socket was gone, and now all that it brought is taken. */
  readonly onFinished: (connection: ClientConnection) => void
  /** The connection is to be closed; `detail` has the limit and the actual value. */
  readonly onRefused: (connection: ClientConnection, reason: ClientRefusal, detail: string) => void
}

const EMPTY = new Uint8Array(0)

export class ClientConnection {
  readonly socket: Socket
  /** Where it comes from, as shares count it. */
  readonly source: string
  private readonly dependencies: ClientConnectionDependencies
  private carry: Uint8Array = EMPTY
  private carryLength = 0
  private chunk: Uint8Array = EMPTY
  private chunkOffset = 0
  private waits: 'slot' | 'memory' | undefined
  private hasSpoken = false
  private socketGone = false
  private closed = false
  private lastByteMs: number
  /** When we began to wait for the rest of the frame, and how many bytes of the frame there were then. */
  private frameSinceMs = 0
  private frameSinceBytes = 0

  constructor(socket: Socket, source: string, dependencies: ClientConnectionDependencies) {
    this.socket = socket
    this.source = source
    this.dependencies = dependencies
    this.lastByteMs = dependencies.nowMs()
  }

  /** A frame has begun and not ended. */
  get isInsideFrame(): boolean {
    return this.carryLength > 0
  }

  /** It waits for us, not we for it. */
  get isBlocked(): boolean {
    return this.waits !== undefined
  }

  /** What it waits for. */
  get waitsFor(): 'slot' | 'memory' | undefined {
    return this.waits
  }

  get isClosed(): boolean {
    return this.closed
  }

  /** Refuses a client that has begun a frame and does not go on with it. */
  checkProgress(nowMs: number, idleTimeoutMs: number): void {
    if (this.carryLength === 0 || this.isBlocked || this.closed) return
    const ageMs = nowMs - this.frameSinceMs
    const bytes = this.carryLength - this.frameSinceBytes
    const progress = frameProgress(nowMs - this.lastByteMs, ageMs, bytes, idleTimeoutMs)
    if (progress === 'frame-stalled') {
      this.refuse(progress, `no byte for ${idleTimeoutMs} ms in the middle of a frame`)
    } else if (progress === 'frame-slow') {
      this.refuse(progress, `${bytes} bytes of a frame came in ${Math.round(ageMs)} ms`)
    }
  }

  onData(chunk: Uint8Array): void {
    if (this.closed) return
    this.lastByteMs = this.dependencies.nowMs()
    // A socket that was paused may still hand over one chunk that was already read.
    if (this.isBlocked) {
      this.chunk = Buffer.concat([this.chunk.subarray(this.chunkOffset), chunk])
      this.chunkOffset = 0
      return
    }
    this.chunk = chunk
    this.chunkOffset = 0
    this.goOn()
  }

  /** There may be what it waited for. The time that it waited is not counted against it. */
  proceed(): void {
    if (this.closed) return
    this.lastByteMs = this.dependencies.nowMs()
    this.frameSinceMs = this.lastByteMs
    this.frameSinceBytes = this.carryLength
    this.goOn()
  }

  /** Goes on with what it holds until that is used up or there is no slot again. */
  private goOn(): void {
    this.waits = undefined
    if (this.carryLength > 0 && !this.finishCarry()) return
    const { batchMaker } = this.dependencies
    const taken = batchMaker.take(this.chunk, this.chunkOffset, this.chunk.length)
    this.chunkOffset += taken
    if (taken > 0) this.spoke()
    switch (batchMaker.stop) {
      case 'blocked':
        this.block('slot')
        return
      case 'transaction-empty':
      case 'transaction-too-large':
        this.refuseFrame(this.chunk, this.chunkOffset)
        return
      case 'partial':
        if (!this.keep(this.chunk.length - this.chunkOffset)) return
    }
    this.used()
  }

  /**
   * The socket is gone. What it brought in whole frames is still to be taken, also when that waits for a slot: a paused
   * socket ends all the same once its last bytes were read. True if nothing is left to wait for.
   */
  onSocketGone(): boolean {
    this.socketGone = true
    if (this.isBlocked) return false
    this.close()
    return true
  }

  /** Gives back what it holds. */
  close(): void {
    this.closed = true
    this.waits = undefined
    this.dependencies.carryBudget.free(this)
    this.carry = EMPTY
    this.carryLength = 0
    this.chunk = EMPTY
  }

  /**
   * Completes the frame in `carry` from the chunk and hands it on; false if more bytes, memory or a slot are needed
   * first.
   */
  private finishCarry(): boolean {
    const { batchMaker } = this.dependencies
    if (this.carryLength < TRANSACTION_PREFIX_BYTES) {
      if (!this.keep(Math.min(TRANSACTION_PREFIX_BYTES - this.carryLength, this.chunk.length - this.chunkOffset))) {
        return false
      }
      if (this.carryLength < TRANSACTION_PREFIX_BYTES) return this.used()
    }
    const c = this.carry
    const length = readUint32Be(c, 0)
    if (length === 0 || length > batchMaker.transactionBytesMax) {
      this.refuseFrame(c, 0)
      return false
    }
    const missing = TRANSACTION_PREFIX_BYTES + length - this.carryLength
    if (!this.keep(Math.min(missing, this.chunk.length - this.chunkOffset))) return false
    if (this.carryLength < TRANSACTION_PREFIX_BYTES + length) return this.used()
    batchMaker.take(this.carry, 0, this.carryLength)
    if (batchMaker.stop === 'blocked') {
      this.dependencies.carryBudget.hold(this)
      this.block('slot')
      return false
    }
    this.carryLength = 0
    if (this.carry.length > CLIENT_CARRY_BASE_BYTES) {
      this.carry = EMPTY
      this.dependencies.carryBudget.free(this)
    }
    this.spoke()
    return true
  }

  /** The chunk is used up. */
  private used(): false {
    this.chunk = EMPTY
    this.chunkOffset = 0
    if (this.socketGone) {
      this.close()
      this.dependencies.onFinished(this)
    } else if (this.socket.isPaused()) this.socket.resume()
    return false
  }

  /** Moves `count` bytes from the chunk to the carry; false if there is no memory for them. */
  private keep(count: number): boolean {
    const needed = this.carryLength + count
    if (needed > this.carry.length && !this.grow(needed)) return false
    if (this.carryLength === 0) {
      this.frameSinceMs = this.lastByteMs
      this.frameSinceBytes = 0
    }
    this.carry.set(this.chunk.subarray(this.chunkOffset, this.chunkOffset + count), this.carryLength)
    this.carryLength = needed
    this.chunkOffset += count
    if (this.carry.length > CLIENT_CARRY_BASE_BYTES) {
      this.dependencies.carryBudget.progress(this, needed, this.lastByteMs)
    }
    return true
  }

  private grow(needed: number): boolean {
    const { batchMaker, carryBudget } = this.dependencies
    const frameBytesMax = batchMaker.transactionBytesMax + TRANSACTION_PREFIX_BYTES
    const size = Math.max(needed, Math.min(2 * needed, frameBytesMax), CLIENT_CARRY_BASE_BYTES)
    if (size > CLIENT_CARRY_BASE_BYTES) {
      if (!carryBudget.claim(this, this.source, size, this.carryLength, this.lastByteMs)) {
        this.block('memory')
        return false
      }
    }
    const grown = new Uint8Array(size)
    grown.set(this.carry.subarray(0, this.carryLength))
    this.carry = grown
    return true
  }

  private spoke(): void {
    this.hasSpoken = true
    this.dependencies.onSpoke(this, this.lastByteMs)
  }

  private block(waitsFor: 'slot' | 'memory'): void {
    this.waits = waitsFor
    this.socket.pause()
    this.dependencies.onBlocked(this, waitsFor)
  }

  private refuseFrame(bytes: Uint8Array, at: number): void {
    const length = readUint32Be(bytes, at)
    const foreign = this.hasSpoken ? undefined : foreignProtocol(length)
    if (foreign !== undefined) this.refuse(foreign.reason, foreign.detail)
    else if (length === 0) this.refuse('transaction-empty', 'a transaction of 0 bytes, at least 1')
    else {
      const bytesMax = this.dependencies.batchMaker.transactionBytesMax
      this.refuse('transaction-too-large', `a transaction of ${length} bytes, at most ${bytesMax}`)
    }
  }

  private refuse(reason: ClientRefusal, detail: string): void {
    this.dependencies.onRefused(this, reason, detail)
  }
}
