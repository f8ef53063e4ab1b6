/**
 * The threads of a worker, or of a primary: starts them, passes on what they report, and tells when one dies.
 *
 * A kind of thread is a row of `HOSTED_THREADS` and a folder `src/threads/KIND` with its `thread.ts`. Piscina runs the kinds with
 * an event loop, each a pool of one with one long-running task; a kind that blocks is a worker of its own.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { NarvalError } from '../../shared/errors.js'
import { Counters, type CountersRegion, HOSTED_THREADS, type HostedThreadName } from '../../shared/memory/counters.js'
import { platformProblem } from '../../shared/runtime/platform.js'
import type { ThreadReport } from '../../shared/runtime/thread-control.js'
import type { Ending } from '../lib/lifecycle.js'
import type { Logger } from '../lib/log.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'

export interface ThreadsDependencies {
  /** The shared memory, with a row of counters for each thread that is started. */
  readonly layout: { readonly counters: { readonly [T in HostedThread]?: CountersRegion } }
  readonly log: Logger
  /** Takes what the handlers of the threads' messages throw. */
  readonly supervisor?: Supervisor
  /** A thread ended that should not have. Called once. */
  readonly onDied: (error: NarvalError) => void
}

export type HostedThread = Exclude<HostedThreadName, 'main'>

/** A thread that runs, however it is hosted. */
interface Running {
  /** Resolves with what it failed with, or undefined, when it has returned. Never rejects. */
  readonly ended: Promise<unknown>
  /** Ends it at once, wherever it is. */
  readonly terminate: () => Promise<unknown>
}

export class Threads {
  private readonly dependencies: ThreadsDependencies
  private readonly running = new Map<HostedThread, Running>()
  /** Threads that were asked to end. */
  private readonly ending = new Set<HostedThread>()
  private hasDied = false
  private readonly supervisor: Supervisor

  constructor(dependencies: ThreadsDependencies) {
    this.dependencies = dependencies
    this.supervisor = dependencies.supervisor ?? unsupervised
  }

  /**
   * Starts a thread with its task and resolves when it is ready; rejects with the reason that it cannot start. A task of
   * a thread with an event loop gets a `port` for its reports.
   */
  async start(name: HostedThread, task: object, transfer: readonly MessagePort[] = []): Promise<void> {
    const { kind, blocks } = HOSTED_THREADS[name]
    const file = new URL(`../../threads/${kind}/thread.js`, import.meta.url)
    await (blocks ? this.startWorker(name, file, task) : this.startPooled(name, file, task, transfer))
  }

  /**
   * Resolves when the thread has returned, as it was asked to: rejects with what it failed with instead. After a
   * failure of the worker it is ended at once.
   */
  async end(name: HostedThread, ending: Ending): Promise<void> {
    this.ending.add(name)
    const thread = this.running.get(name)
    if (thread === undefined) return
    if (ending === 'failed') {
      await thread.terminate()
      return
    }
    const error = await thread.ended
    await thread.terminate()
    if (error !== undefined) throw this.diedOf(name, error)
  }

  private async startPooled(
    name: HostedThread,
    file: URL,
    task: object,
    transfer: readonly MessagePort[],
  ): Promise<void> {
    const piscina = new Piscina({
      filename: file.href,
      minThreads: 1,
      maxThreads: 1,
      // The thread runs one task until it ends; waiting for the next by blocking would stop its event loop.
      atomics: 'disabled',
      recordTiming: false,
      idleTimeout: Number.POSITIVE_INFINITY,
    })
    const { port1, port2 } = new MessageChannel()
    // Reports must not keep a process alive whose threads are gone.
    const reports = new Reports(port1, name, this.dependencies.log, this.supervisor)
    port1.unref()
    const ended = piscina.run({ ...task, port: port2 }, { transferList: [port2, ...transfer] }).then(
      () => reports.rest(),
      (error: unknown) => reports.rest() ?? error ?? new Error('unknown'),
    )
    this.running.set(name, { ended, terminate: () => piscina.destroy().catch(() => {}) })
    const early = ended.then((error) => {
      throw platformProblem(error) ?? error ?? new Error(`the ${name} thread returned before it was ready`)
    })
    await Promise.race([reports.ready, early])
    this.watchEnd(name, ended)
  }

  private async startWorker(name: HostedThread, file: URL, task: object): Promise<void> {
    const worker = new Worker(file, { workerData: task, name })
    let failure: Error | undefined
    const { guard } = this.supervisor
    const onError = guard('the end of a thread', (error: Error) => {
      failure = error
    })
    worker.once('error', onError)
    const ended = new Promise<Error | undefined>((resolve) => {
      const onExit = guard('the end of a thread', () => resolve(failure))
      worker.once('exit', onExit)
    })
    this.running.set(name, { ended, terminate: () => worker.terminate() })
    await new Promise<void>((resolve, reject) => {
      worker.once('online', resolve)
      worker.once('error', reject)
    })
    this.watchEnd(name, ended)
  }

  private watchEnd(name: HostedThread, ended: Promise<unknown>): void {
    const over = ended.then((error) => this.onEnded(name, error))
    this.supervisor.watch('the end of a thread', over)
  }

  private onEnded(name: HostedThread, error: unknown): void {
    if (this.ending.has(name) || this.hasDied) return
    this.hasDied = true
    this.dependencies.onDied(this.diedOf(name, error))
  }

  private diedOf(name: HostedThread, error: unknown): NarvalError {
    const counters = new Counters(this.dependencies.layout.counters[name]!, name).snapshot()
    const numbers = Object.entries(counters)
      .filter(([, value]) => value !== 0)
      .map(([key, value]) => `${key} ${Number(value.toFixed(2))}`)
      .join(', ')
    const why =
      error instanceof NarvalError
        ? error.toString()
        : error instanceof Error
          ? (error.stack ?? error.message)
          : 'it returned'
    return new NarvalError('ERR_THREAD_DIED', `the ${name} thread died: ${why} (its counters: ${numbers})`, {
      cause: error,
    })
  }
}

/** What a thread reports of itself over its port. */
class Reports {
  /** Resolves when the thread is ready; rejects with why it cannot start. */
  readonly ready: Promise<void>
  private readonly port: MessagePort
  private readonly name: HostedThread
  private readonly log: Logger
  private failure: NarvalError | undefined
  private settle!: { resolve: () => void; reject: (error: Error) => void }

  constructor(port: MessagePort, name: HostedThread, log: Logger, { guard }: Supervisor) {
    this.port = port
    this.name = name
    this.log = log
    this.ready = new Promise((resolve, reject) => {
      this.settle = { resolve, reject }
    })
    // The thread may end before anybody waits for it to be ready.
    this.ready.catch(() => {})
    const onMessage = guard('a report of a thread', (message: ThreadReport) => this.take(message))
    port.on('message', onMessage)
  }

  /** What the thread said last comes over another port than its end, and may still be on the way. Why it failed. */
  rest(): NarvalError | undefined {
    for (let last = receiveMessageOnPort(this.port); last !== undefined; last = receiveMessageOnPort(this.port)) {
      this.take(last.message)
    }
    return this.failure
  }

  private take(message: ThreadReport): void {
    if (message.type === 'ready') this.settle.resolve()
    else if (message.type === 'log') this.log[message.level](message.text)
    else {
      this.failure =
        message.code === undefined
          ? new NarvalError('ERR_THREAD_DIED', `the ${this.name} thread cannot go on: ${message.message}`)
          : new NarvalError(message.code, message.message)
      this.settle.reject(this.failure)
    }
  }
}
