/**
 * The benchmark client: sends transactions at a steady rate and never reads (node/src/benchmark_client.rs).
 *
 * One burst is under way at a time. While the node does not take it, nothing is queued behind it: the bursts that fall
 * due meanwhile are caught up afterwards, one after the other, as the reference's interval does.
 */
import assert from 'node:assert'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { formatTcpAddress, type TcpAddress } from '../../../shared/config/address.js'
import { NarvalError } from '../../../shared/errors.js'
import type { Logger } from '../../lib/log.js'
import { BurstBuffer, burstCount } from './burst.js'
import { CLIENT_BURSTS_PER_S, CLIENT_STOP_GRACE_MS } from './limits.js'
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
}

export interface LoadClientDependencies {
  readonly log: Logger
  /** Ends the load: what is under way is finished, the socket closed. */
  readonly stop: AbortSignal
}

const BURST_MS = 1000 / CLIENT_BURSTS_PER_S

/**
 * Sends until `stop` or the duration is over.
 *
 * @returns the transactions that the kernel took, whole bursts
 * @throws NarvalError ERR_UNREACHABLE, ERR_DISCONNECTED
 */
export async function runLoadClient(options: LoadClientOptions, dependencies: LoadClientDependencies): Promise<number> {
  const { log, stop } = dependencies
  log.info(`Node address: ${formatTcpAddress(options.target)}`)
  // NOTE: these lines, "Start sending" and "Sending sample" are read by benchmark parsers, ours and the reference's.
  log.info(`Transactions size: ${options.transactionBytes} B`)
  log.info(`Transactions rate: ${options.rate} tx/s`)
  log.info('Waiting for all nodes to be online...')
  await waitForNodes(options.nodes, stop)
  if (stop.aborted) return 0

  const socket = await open(options.target)
  const sender = new Sender(socket, options.target, stop)
  try {
    return await sendBursts(options, sender, dependencies)
  } finally {
    await sender.close()
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
    sample += 1
    if (performance.now() - beganMs > BURST_MS) log.warn('Transaction rate too high for this client')
  }
  return sent
}

async function open(target: TcpAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target.port, target.host)
    const fail = (error: Error): void => {
      reject(
        new NarvalError(
          'ERR_UNREACHABLE',
          `no worker takes transactions on ${formatTcpAddress(target)} (${error.message}); start it first, or check the address`,
          { cause: error },
        ),
      )
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.off('error', fail)
      resolve(socket)
    })
  })
}

/** The socket, with at most one write under way and at most one wait: both end with the socket, or after `stop`. */
class Sender {
  private readonly socket: Socket
  private readonly target: TcpAddress
  private readonly stop: AbortSignal
  private gone: string | undefined
  /** The node did not take a burst in time: what follows it would not go out either. */
  private isStuck = false
  private settle: (() => void) | undefined
  private graceTimer: NodeJS.Timeout | undefined

  constructor(socket: Socket, target: TcpAddress, stop: AbortSignal) {
    this.socket = socket
    this.target = target
    this.stop = stop
    socket.setNoDelay(true)
    // Nothing is expected, but what came and was not read would turn our close into a reset, and lose what we sent.
    socket.resume()
    socket.on('error', (error) => this.lost(error.message))
    socket.on('end', () => this.lost('it closed the connection'))
    socket.on('close', () => this.lost('the connection closed'))
  }

  private lost(reason: string): void {
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
      this.socket.write(bytes, (error) => {
        taken = !error && this.gone === undefined
        settle()
      })
    })
    if (taken) return true
    this.throwIfGone()
    this.isStuck = true
    return false
  }

  /** Ends the connection; what the kernel took still reaches the node. */
  async close(): Promise<void> {
    if (this.gone === undefined && !this.isStuck) {
      await new Promise<void>((resolve) => {
        this.settle = resolve
        const timer = setTimeout(resolve, CLIENT_STOP_GRACE_MS)
        this.socket.end(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    this.socket.destroy()
  }

  private throwIfGone(): void {
    if (this.gone === undefined) return
    throw new NarvalError(
      'ERR_DISCONNECTED',
      `the worker on ${formatTcpAddress(this.target)} went away: ${this.gone}; its log says why`,
    )
  }
}
