/**
 * The threads of a worker: starts them, passes on what they report, and tells when one dies. Piscina runs the two
 * threads with an event loop, each a pool of one with one long-running task; the quorum-waiter blocks, and is a worker
 * of its own.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { NarvalError } from '../../shared/errors.js'
import { Counters, type ThreadName } from '../../shared/memory/counters.js'
import type { Layout } from '../../shared/memory/layout.js'
import type { ThreadReport } from '../../shared/runtime/thread-control.js'
import type { Logger } from '../lib/log.js'

export interface ThreadsDependencies {
  readonly layout: Layout
  readonly log: Logger
  /** A thread ended that should not have. Called once. */
  readonly onDied: (error: NarvalError) => void
}

type PooledThread = 'batch-maker' | 'processor'

export class Threads {
  private readonly dependencies: ThreadsDependencies
  private readonly pools = new Map<PooledThread, { piscina: Piscina; ended: Promise<void> }>()
  private quorumWaiter: { worker: Worker; ended: Promise<void> } | undefined
  private closing = false

  constructor(dependencies: ThreadsDependencies) {
    this.dependencies = dependencies
  }

  /**
   * Starts a pooled thread with its task and resolves when it is ready; rejects with the reason that it cannot start.
   * The task gets a `port` for its reports.
   */
  async startPooled(name: PooledThread, task: object, transfer: readonly MessagePort[] = []): Promise<void> {
    const piscina = new Piscina({
      filename: new URL(`../../threads/${name}/thread.js`, import.meta.url).href,
      minThreads: 1,
      maxThreads: 1,
      // The thread runs one task until it ends; waiting for the next by blocking would stop its event loop.
      atomics: 'disabled',
      recordTiming: false,
      idleTimeout: Number.POSITIVE_INFINITY,
    })
    const { port1, port2 } = new MessageChannel()
    let refuse: (error: Error) => void = () => {}
    let failure: NarvalError | undefined
    let onReport: (message: ThreadReport) => void = () => {}
    const ready = new Promise<void>((resolve, reject) => {
      refuse = reject
      onReport = (message) => {
        if (message.type === 'ready') resolve()
        else if (message.type === 'log') this.dependencies.log[message.level](message.text)
        else {
          failure =
            message.code === undefined
              ? new NarvalError('ERR_THREAD_DIED', `the ${name} thread cannot start: ${message.message}`)
              : new NarvalError(message.code, message.message)
          reject(failure)
        }
      }
    })
    port1.on('message', onReport)
    // Reports must not keep a process alive whose threads are gone.
    port1.unref()
    let started = false
    const ended = piscina.run({ ...task, port: port2 }, { transferList: [port2, ...transfer] }).then(
      () => undefined,
      (error: unknown) => error ?? new Error('unknown'),
    )
    const watched = ended.then((error) => {
      // What the thread said last comes over another port than its end, and may still be on the way.
      for (let last = receiveMessageOnPort(port1); last !== undefined; last = receiveMessageOnPort(port1)) {
        onReport(last.message)
      }
      if (started) this.onEnded(name, failure ?? error)
      // Where the thread has said why it cannot start, this comes second and changes nothing.
      else refuse(error instanceof Error ? error : new Error(`the ${name} thread returned before it was ready`))
    })
    this.pools.set(name, { piscina, ended: watched })
    await ready
    started = true
  }

  async startQuorumWaiter(data: object): Promise<void> {
    const worker = new Worker(new URL('../../threads/quorum-waiter/thread.js', import.meta.url), {
      workerData: data,
      name: 'quorum-waiter',
    })
    const ended = new Promise<void>((resolve) => {
      worker.once('error', (error) => this.onEnded('quorum-waiter', error))
      worker.once('exit', () => {
        this.onEnded('quorum-waiter', undefined)
        resolve()
      })
    })
    this.quorumWaiter = { worker, ended }
    await new Promise<void>((resolve, reject) => {
      worker.once('online', resolve)
      worker.once('error', reject)
    })
  }

  /** From now on a thread that ends does so because it was asked to. */
  expectEnd(): void {
    this.closing = true
  }

  /** Resolves when the thread has returned, as it was asked to. */
  async ended(name: ThreadName): Promise<void> {
    if (name === 'quorum-waiter') {
      await this.quorumWaiter?.ended
      return
    }
    const pool = this.pools.get(name as PooledThread)
    await pool?.ended
    await pool?.piscina.destroy()
  }

  /** Ends all threads at once, wherever they are. */
  async terminate(): Promise<void> {
    this.closing = true
    await Promise.all([
      ...[...this.pools.values()].map(({ piscina }) => piscina.destroy().catch(() => {})),
      this.quorumWaiter?.worker.terminate(),
    ])
  }

  private onEnded(name: ThreadName, error: unknown): void {
    if (this.closing) return
    this.closing = true
    const counters = new Counters(this.dependencies.layout.counters[name], name).snapshot()
    const numbers = Object.entries(counters)
      .filter(([, value]) => value !== 0)
      .map(([key, value]) => `${key} ${Number(value.toFixed(2))}`)
      .join(', ')
    const why =
      error instanceof Error
        ? error instanceof NarvalError
          ? error.toString()
          : (error.stack ?? error.message)
        : 'it returned'
    this.dependencies.onDied(
      new NarvalError('ERR_THREAD_DIED', `the ${name} thread died: ${why} (its counters: ${numbers})`, {
        cause: error,
      }),
    )
  }
}
