/**
 * One client's connection: cuts its byte stream into whole frames for the BatchMaker.
 *
 * What a chunk from the socket holds in whole frames goes to the slot straight from the chunk; only the frame that a
 * chunk ends in is kept, in `carry`, which grows with the bytes that have come and never with the length announced.
 * When the BatchMaker has no slot, the rest of the chunk is kept, the socket is paused, and TCP tells the client.
 */
import type { Socket } from 'node:net'
import { CLIENT_CARRY_BYTES_MAX, TRANSACTION_PREFIX_BYTES } from '../../shared/constants.js'
import type { ClientRefusal } from '../../shared/refusals.js'
import type { BatchMaker } from './batch-maker.js'

/** Bytes of unfinished frames over all clients, bounded by CLIENT_CARRY_BYTES_MAX. */
export interface CarryBudget {
  bytes: number
}

export interface ClientConnectionDependencies {
  readonly batchMaker: BatchMaker
  readonly carryBudget: CarryBudget
  /** The connection waits for a free slot: call `proceed` when there is one. */
  readonly onBlocked: (connection: ClientConnection) => void
  /** The socket was gone, and now all that it brought is taken. */
  readonly onFinished: (connection: ClientConnection) => void
  /** The connection is to be closed; `detail` has the limit and the actual value. */
  readonly onRefused: (connection: ClientConnection, reason: ClientRefusal, detail: string) => void
}

const EMPTY = new Uint8Array(0)
const CARRY_BYTES_MIN = 1024

export class ClientConnection {
  readonly socket: Socket
  private readonly dependencies: ClientConnectionDependencies
  private carry: Uint8Array = EMPTY
  private carryLength = 0
  private chunk: Uint8Array = EMPTY
  private chunkOffset = 0
  private blocked = false
  private socketGone = false
  private closed = false

  constructor(socket: Socket, dependencies: ClientConnectionDependencies) {
    this.socket = socket
    this.dependencies = dependencies
  }

  /** A frame has begun and not ended. */
  get isInsideFrame(): boolean {
    return this.carryLength > 0
  }

  /** It waits for us, not we for it. */
  get isBlocked(): boolean {
    return this.blocked
  }

  onData(chunk: Uint8Array): void {
    if (this.closed) return
    // A socket that was paused may still hand over one chunk that was already read.
    if (this.blocked) {
      this.chunk = Buffer.concat([this.chunk.subarray(this.chunkOffset), chunk])
      this.chunkOffset = 0
      return
    }
    this.chunk = chunk
    this.chunkOffset = 0
    this.proceed()
  }

  /** Goes on with what it holds until that is used up or there is no slot again. */
  proceed(): void {
    if (this.closed) return
    this.blocked = false
    if (this.carryLength > 0 && !this.finishCarry()) return
    const { batchMaker } = this.dependencies
    this.chunkOffset += batchMaker.take(this.chunk, this.chunkOffset, this.chunk.length)
    switch (batchMaker.stop) {
      case 'blocked':
        this.block()
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
    if (this.blocked) return false
    this.close()
    return true
  }

  /** Gives back what it holds. */
  close(): void {
    this.closed = true
    this.blocked = false
    this.dependencies.carryBudget.bytes -= this.carry.length
    this.carry = EMPTY
    this.carryLength = 0
    this.chunk = EMPTY
  }

  /** Completes the frame in `carry` from the chunk and hands it on; false if that did not come to an end. */
  private finishCarry(): boolean {
    const { batchMaker } = this.dependencies
    if (this.carryLength < TRANSACTION_PREFIX_BYTES) {
      if (!this.keep(Math.min(TRANSACTION_PREFIX_BYTES - this.carryLength, this.chunk.length - this.chunkOffset))) {
        return false
      }
      if (this.carryLength < TRANSACTION_PREFIX_BYTES) return this.used()
    }
    const c = this.carry
    const length = ((c[0]! << 24) | (c[1]! << 16) | (c[2]! << 8) | c[3]!) >>> 0
    if (length === 0 || length > batchMaker.transactionBytesMax) {
      this.refuseFrame(c, 0)
      return false
    }
    const missing = TRANSACTION_PREFIX_BYTES + length - this.carryLength
    if (!this.keep(Math.min(missing, this.chunk.length - this.chunkOffset))) return false
    if (this.carryLength < TRANSACTION_PREFIX_BYTES + length) return this.used()
    batchMaker.take(this.carry, 0, this.carryLength)
    if (batchMaker.stop === 'blocked') {
      this.block()
      return false
    }
    this.carryLength = 0
    if (this.carry.length > CARRY_BYTES_MIN) {
      this.dependencies.carryBudget.bytes -= this.carry.length
      this.carry = EMPTY
    }
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

  /** Moves `count` bytes from the chunk to the carry. */
  private keep(count: number): boolean {
    const needed = this.carryLength + count
    if (needed > this.carry.length && !this.grow(needed)) return false
    this.carry.set(this.chunk.subarray(this.chunkOffset, this.chunkOffset + count), this.carryLength)
    this.carryLength = needed
    this.chunkOffset += count
    return true
  }

  private grow(needed: number): boolean {
    const { carryBudget, batchMaker } = this.dependencies
    const frameBytesMax = batchMaker.transactionBytesMax + TRANSACTION_PREFIX_BYTES
    const size = Math.max(needed, Math.min(2 * needed, frameBytesMax), CARRY_BYTES_MIN)
    if (carryBudget.bytes - this.carry.length + size > CLIENT_CARRY_BYTES_MAX) {
      this.refuse(
        'frame-memory',
        `unfinished frames of all clients hold ${carryBudget.bytes} bytes, at most ${CLIENT_CARRY_BYTES_MAX}`,
      )
      return false
    }
    carryBudget.bytes += size - this.carry.length
    const grown = new Uint8Array(size)
    grown.set(this.carry.subarray(0, this.carryLength))
    this.carry = grown
    return true
  }

  private block(): void {
    this.blocked = true
    this.socket.pause()
    this.dependencies.onBlocked(this)
  }

  private refuseFrame(bytes: Uint8Array, at: number): void {
    const length = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    if (length === 0) this.refuse('transaction-empty', 'a transaction of 0 bytes, at least 1')
    else {
      this.refuse(
        'transaction-too-large',
        `a transaction of ${length} bytes, at most ${this.dependencies.batchMaker.transactionBytesMax}`,
      )
    }
  }

  private refuse(reason: ClientRefusal, detail: string): void {
    this.dependencies.onRefused(this, reason, detail)
  }
}
