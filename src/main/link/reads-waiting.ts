/**
 * Reads of batches that wait until the worker may be asked for more. Those of readers of commits and those of `read()` take
 * turns, and each kind has places of its own: whoever calls `read()` without end keeps no reader of commits waiting.
 */
import { NarvalError } from '../../shared/errors.js'
import { Deque } from '../lib/deque.js'
import { LINK_CALLS_WAITING_MAX, LINK_READERS_WAITING_MAX } from './limits.js'

/** For whom a batch is read: a reader of commits, or a call of `read()`. */
export type ReadFor = 'commits' | 'call'

export interface WaitingRead {
  readonly digest: Uint8Array
  readonly by: ReadFor
  /** Nobody waits for it any more once it is aborted. */
  readonly signal?: AbortSignal | undefined
  readonly answer: (batch: ReadBatch | undefined) => void
}

/** A stored batch, as the worker has it. */
export interface ReadBatch {
  readonly author: Uint8Array
  readonly bytes: Uint8Array
}

const PLACES: Readonly<Record<ReadFor, number>> = { commits: LINK_READERS_WAITING_MAX, call: LINK_CALLS_WAITING_MAX }

export class ReadsWaiting {
  private readonly lanes: Readonly<Record<ReadFor, Deque<WaitingRead>>> = { commits: new Deque(), call: new Deque() }
  private turn: ReadFor = 'commits'

  /** Errors: `ERR_BUSY` if as many wait as may. */
  add(read: WaitingRead): void {
    const { by } = read
    const lane = this.lanes[by]
    if (lane.size >= PLACES[by]) dropLeft(lane)
    if (lane.size >= PLACES[by]) {
      throw new NarvalError(
        'ERR_BUSY',
        `${lane.size} reads of a worker wait, at most ${PLACES[by]} may: await those before`,
      )
    }
    lane.pushBack(read)
  }

  /** The next one that somebody waits for. */
  next(): WaitingRead | undefined {
    const first = this.lanes[this.turn]
    this.turn = this.turn === 'commits' ? 'call' : 'commits'
    return nextOf(first) ?? nextOf(this.lanes[this.turn])
  }
}

function nextOf(lane: Deque<WaitingRead>): WaitingRead | undefined {
  for (let read = lane.popFront(); read !== undefined; read = lane.popFront()) {
    if (read.signal?.aborted !== true) return read
    read.answer(undefined)
  }
  return undefined
}

/** Those that nobody waits for give their places. */
function dropLeft(lane: Deque<WaitingRead>): void {
  for (let left = lane.size; left > 0; left -= 1) {
    const read = lane.popFront()!
    if (read.signal?.aborted === true) read.answer(undefined)
    else lane.pushBack(read)
  }
}
