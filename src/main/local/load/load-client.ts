/**
 * The benchmark client: sends transactions at a steady rate and never reads (node/src/benchmark_client.rs).
 *
 * One burst is under way at a time. While the node does not take it, nothing is queued behind it: the bursts that fall
 * due meanwhile are caught up afterwards, one after the other, as the reference's interval does.
 */
import assert from 'node:assert'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { formatTcpAddress, type TcpAddress } from '../../../shared/config/address.js'
import { TRANSACTION_PREFIX_BYTES } from '../../../shared/constants.js'
import { NarvalError } from '../../../shared/errors.js'
import type { Logger } from '../../lib/log.js'
import { HostNames } from '../../names/host-names.js'
import { BurstBuffer, burstCount } from './burst.js'
import { CLIENT_BURSTS_PER_S, CLIENT_CONNECT_MS, CLIENT_READ_MS, CLIENT_STOP_GRACE_MS } from './limits.js'
import { waitForNodes } from './probe.js'

export interface LoadClientOptions {
  /** The `transactions` address of a worker. */
  readonly target: TcpAddress
  /** Bytes of a transaction. */
  readonly transactionBytes: number
  /** Transactions a second. */
  readonly rate: number
  /** Addresses that have to accept connections before the load starts. */
  readonly nodes: readonly TcpAddress[]
  /** Seconds of load; without it until `stop`. */
  readonly durationS?: number
  /** Each transaction in a write of its own, as the reference's client sends; without it a burst is one write. */
  readonly unbuffered?: boolean
}

export interface LoadClientDependencies {
  readonly log: Logger
  /** Ends the load: what is under way is finished, the socket closed. */
  readonly stop: AbortSignal
}

/** What became of the load, as far as a connection tells. */
export interface LoadResult {
  /** Transactions that the kernel took, whole bursts. */
  readonly sent: number
  /** Whether the worker has read all of them: it ended its side of the connection after we had ended ours. */
  readonly isRead: boolean
}

const BURST_MS = 1000 / CLIENT_BURSTS_PER_S

/**
 * Sends until `stop` or the duration is over, and then waits for the worker to have read all.
 *
 * @throws NarvalError ERR_UNREACHABLE, ERR_DISCONNECTED
 */
export async function runLoadClient(
  options: LoadClientOptions,
  dependencies: LoadClientDependencies,
): Promise<LoadResult> {
  const { log, stop } = dependencies
  log.info(`Node address: ${formatTcpAddress(options.target)}`)
  // NOTE: these lines, "Start sending" and "Sending sample" are read by benchmark parsers, ours and the reference's.
  log.info(`Transactions size: ${options.transactionBytes} B`)
  log.info(`Transactions rate: ${options.rate} tx/s`)
  log.info('Waiting for all nodes to be online...')
  const names = new HostNames({ log })
  await waitForNodes(options.nodes, stop, names)
  const socket = stop.aborted ? undefined : await open(options.target, stop, names)
  if (socket === undefined) return { sent: 0, isRead: false }
  const frameBytes = TRANSACTION_PREFIX_BYTES + options.transactionBytes
  const sender = new Sender(socket, options.target, stop, options.unbuffered ? frameBytes : undefined)
  try {
    const sent = await sendBursts(options, sender, dependencies)
    log.info(`Sent ${sent} transactions`)
    return { sent, isRead: await sender.end() }
  } finally {
    socket.destroy()
  }
}

async function sendBursts(options: LoadClientOptions, sender: Sender, deps: LoadClientDependencies): Promise<number> {
  const { log, stop } = deps
  const burst = new BurstBuffer(options.rate, options.transactionBytes, randomBytes(8).readBigUInt64BE())
  const ticks = options.durationS === undefined ? Number.POSITIVE_INFINITY : options.durationS * CLIENT_BURSTS_PER_S
  const startedMs = performance.now()
  let sample = 0
  let sent = 0
  log.info('Start sending transactions')
  for (let tick = 0; tick < ticks && !stop.aborted; tick++) {
    await sender.sleepUntil(startedMs + tick * BURST_MS)
    if (stop.aborted) break
    const count = burstCount(tick, options.rate)
    if (count === 0) continue
    const bytes = burst.fill(count, sample)
    log.info(`Sending sample transaction ${sample}`)
    const beganMs = performance.now()
    if (!(await sender.send(bytes))) break
    sent += count
    sender.sent = sent
    sample += 1
    if (performance.now() - beganMs > BURST_MS) log.warn('Transaction rate too high for this client')
  }
  return sent
}

/** A connection to the target; undefined if `stop` came first. */
async function open(target: TcpAddress, stop: AbortSignal, names: HostNames): Promise<Socket | undefined> {
  const socket = connect({ ...target, lookup: names.lookup, autoSelectFamilyAttemptTimeout: CLIENT_CONNECT_MS / 4 })
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([stop, AbortSignal.timeout(CLIENT_CONNECT_MS)]) })
    return socket
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    if (stop.aborted) return undefined
    const { message, name } = error as Error
    const why = name === 'AbortError' ? `no answer in ${CLIENT_CONNECT_MS} ms` : message || String(error)
    throw new NarvalError(
      'ERR_UNREACHABLE',
      `no worker takes transactions on ${formatTcpAddress(target)} (${why}); start it first, or check the address`,
      { cause: error },
    )
  }
}

/** The socket, with at most one write under way and at most one wait: both end with the socket, or after `stop`. */
class Sender {
  /** Transactions in bursts that the kernel took. */
  sent = 0
  private readonly socket: Socket
  private readonly target: TcpAddress
  private readonly stop: AbortSignal
  /** Bytes of each write; undefined where all of a burst is one. */
  private readonly writeBytes: number | undefined
  private gone: string | undefined
  /** The node did not take a burst in time: what follows it would not go out either. */
  private isStuck = false
  /** Our side has ended; then the worker's, which has read all. */
  private isEnding = false
  private isRead = false
  private settle: (() => void) | undefined
  private graceTimer: NodeJS.Timeout | undefined

  constructor(socket: Socket, target: TcpAddress, stop: AbortSignal, writeBytes: number | undefined) {
    this.socket = socket
    this.target = target
    this.stop = stop
    this.writeBytes = writeBytes
    // The reference's client leaves it to the kernel which of its small writes travel together.
    socket.setNoDelay(writeBytes === undefined)
    // Nothing is expected, but what came and was not read would turn our close into a reset, and lose what we sent.
    socket.resume()
    socket.on('error', (error) => this.lost(error.message))
    socket.on('end', () => this.onEnd())
    socket.on('close', () => this.lost('the connection closed'))
  }

  private onEnd(): void {
    if (!this.isEnding) {
      this.lost('it closed the connection')
      return
    }
    this.isRead = true
    this.settle?.()
  }

  private lost(reason: string): void {
    if (this.isRead) return
    this.gone ??= reason
    this.settle?.()
  }

  /** Resolves at `timeMs` of `performance.now()`, at once if it has passed, and early on `stop`. */
  async sleepUntil(timeMs: number): Promise<void> {
    const delayMs = timeMs - performance.now()
    if (delayMs > 0 && !this.stop.aborted) {
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          clearTimeout(timer)
          this.stop.removeEventListener('abort', settle)
          this.settle = undefined
          resolve()
        }
        const timer = setTimeout(settle, delayMs)
        this.stop.addEventListener('abort', settle)
        this.settle = settle
      })
    }
    this.throwIfGone()
  }

  /**
   * Resolves to true when the kernel has taken all of `bytes`, and to false when it had not within the grace after
   * `stop`: what it took of them is then not known.
   */
  async send(bytes: Uint8Array): Promise<boolean> {
    assert(this.settle === undefined, 'one write at a time')
    let taken = false
    await new Promise<void>((resolve) => {
      const onStop = (): void => {
        this.graceTimer = setTimeout(settle, CLIENT_STOP_GRACE_MS)
      }
      const settle = (): void => {
        clearTimeout(this.graceTimer)
        this.stop.removeEventListener('abort', onStop)
        this.settle = undefined
        resolve()
      }
      this.settle = settle
      this.stop.addEventListener('abort', onStop)
      this.write(bytes, (error) => {
        taken = !error && this.gone === undefined
        settle()
      })
    })
    if (taken) return true
    this.throwIfGone()
    this.isStuck = true
    return false
  }

  /** No write is made before the kernel has taken the one before it: else Node would put the two together. */
  private write(bytes: Uint8Array, onTaken: (error: Error | null | undefined) => void): void {
    const { writeBytes = bytes.length } = this
    let at = 0
    const next = (error?: Error | null): void => {
      // After `stop`, and a burst that is not taken in time, nothing follows what is under way.
      if (error || at >= bytes.length || this.settle === undefined) onTaken(error)
      else {
        const piece = bytes.subarray(at, at + writeBytes)
        at += piece.length
        this.socket.write(piece, next)
      }
    }
    next()
  }

  /**
   * Ends our side, and waits for the worker to end its own, which it does when it has read all: whether it did in time.
   *
   * @throws NarvalError ERR_DISCONNECTED if it cuts the connection instead
   */
  async end(): Promise<boolean> {
    this.throwIfGone()
    if (this.isStuck) return false
    this.isEnding = true
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLIENT_READ_MS)
      // Whoever asked for the end is waiting for the prompt.
      const hurry = (): void => void setTimeout(resolve, CLIENT_STOP_GRACE_MS).unref()
      if (this.stop.aborted) hurry()
      else this.stop.addEventListener('abort', hurry)
      this.settle = () => {
        clearTimeout(timer)
        resolve()
      }
      this.socket.end()
    })
    this.throwIfGone()
    return this.isRead
  }

  private throwIfGone(): void {
    if (this.gone === undefined) return
    throw new NarvalError(
      'ERR_DISCONNECTED',
      `the worker on ${formatTcpAddress(this.target)} went away after ${this.sent} transactions were sent: ${this.gone}; it need not have read the last of them, and its log says why`,
    )
  }
}
