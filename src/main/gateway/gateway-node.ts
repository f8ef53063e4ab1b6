/**
 * Main's side of the gateway: its thread, and the answers to what only main knows. The thread reads the stores by itself, so
 * what clients do there costs main nothing but these answers.
 */
import { MessageChannel } from 'node:worker_threads'
import { formatTcpAddress, type TcpAddress } from '../../shared/config/address.js'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import { NarvalError } from '../../shared/errors.js'
import { COUNTERS_BYTES, Counters } from '../../shared/memory/counters.js'
import type {
  GatewayAnswer,
  GatewayAnswers,
  GatewayMemory,
  GatewayQuestion,
  GatewayTask,
  NumberedQuestion,
  SubmitRefusal,
} from '../../shared/memory/dialogue/gateway.js'
import { allocated } from '../../shared/memory/page-memory.js'
import type { CommittedBatch } from '../../shared/wire/primary/commit-record.js'
import { Lifecycle } from '../lib/lifecycle.js'
import type { Logger } from '../lib/log.js'
import { Supervisor } from '../lib/supervisor.js'
import { VERSION } from '../lib/version.js'
import { GatewayMetrics } from '../metrics/gateway-metrics.js'
import { Threads } from '../thread-host/threads.js'
import { only } from '../worker/option-arguments.js'
import { GATEWAY_BATCH_MS } from './limits.js'

export interface GatewayNodeOptions {
  readonly listen: TcpAddress
  readonly token: string | undefined
  readonly origins: readonly string[]
  readonly committee: Committee
  readonly ownIndex: number
  /** The authority's directory. */
  readonly store: string
  readonly transactionBytesMax: number
  readonly log: Logger
}

export interface GatewayNodeDependencies {
  readonly commitLogHead: GatewayMemory['commitLogHead']
  readonly lastApplied: GatewayMemory['lastApplied']
  readonly status: () => GatewayAnswers['status']
  readonly health: () => GatewayAnswers['health']
  readonly metrics: () => Promise<GatewayAnswers['metrics']>
  /** Resolves when it is in line for a batch. */
  readonly submit: (transaction: Uint8Array) => Promise<unknown>
  /** Resolves when our worker has it. */
  readonly batch: (batch: CommittedBatch, commit: number, signal: AbortSignal) => Promise<unknown>
}

export class GatewayNode {
  /** Resolves once it is closed; rejects with the failure that ended it. */
  readonly stopped: Promise<void>
  readonly counters: Counters<'gateway'>
  readonly metrics: GatewayMetrics
  private readonly options: GatewayNodeOptions
  private readonly dependencies: GatewayNodeDependencies
  private readonly lifecycle = new Lifecycle()
  private readonly supervisor = new Supervisor((error) => this.lifecycle.fail(error))
  private readonly memory: GatewayMemory
  private readonly channel = new MessageChannel()
  private readonly threads: Threads
  private readonly closing = new AbortController()

  constructor(options: GatewayNodeOptions, dependencies: GatewayNodeDependencies) {
    const { supervisor } = this
    this.options = options
    this.dependencies = dependencies
    const buffer = allocated(COUNTERS_BYTES, () => new SharedArrayBuffer(COUNTERS_BYTES))
    const { commitLogHead, lastApplied } = dependencies
    this.memory = { counters: { gateway: { buffer, byteOffset: 0 } }, commitLogHead, lastApplied }
    this.counters = new Counters(this.memory.counters.gateway, 'gateway')
    this.metrics = new GatewayMetrics(this.counters)
    this.threads = new Threads({
      supervisor,
      layout: this.memory,
      log: options.log,
      onDied: (error) => this.lifecycle.fail(error),
    })
    const onQuestion = supervisor.guard('a question of the gateway', (asked: NumberedQuestion) => {
      supervisor.watch('an answer to the gateway', this.take(asked))
    })
    this.channel.port1.on('message', onQuestion)
    this.stopped = this.lifecycle.stopped
  }

  /** Rejects with ERR_ADDRESS_IN_USE and its like. */
  async start(): Promise<void> {
    const { channel, lifecycle, threads } = this
    const { listen, log } = this.options
    try {
      await lifecycle.open(
        'gateway',
        () => threads.start('gateway', this.task(), [channel.port2]),
        (_, ending) => {
          this.closing.abort(new NarvalError('ERR_CLOSED', 'the authority is closed'))
          channel.port1.close()
          return threads.end('gateway', ending)
        },
      )
    } catch (error) {
      channel.port1.close()
      await threads.end('gateway', 'failed')
      throw lifecycle.error ?? error
    }
    log.info(`The gateway answers at http://${formatTcpAddress(listen)}/v1/status`)
  }

  close(): Promise<void> {
    return this.lifecycle.close()
  }

  private async take({ id, question }: NumberedQuestion): Promise<void> {
    const { port1 } = this.channel
    let said: GatewayAnswer
    try {
      said = { id, answer: await this.answer(question) }
    } catch (error) {
      // The client is told; what is no refusal is for the log there.
      const code = error instanceof NarvalError ? error.code : undefined
      const { message, stack } = error as Error
      said = { id, error: { ...only('code', code), message: code === undefined ? (stack ?? message) : message } }
    }
    if (!this.closing.signal.aborted) port1.postMessage(said)
  }

  private answer(question: GatewayQuestion): Promise<Said> | Said {
    const { batch, health, metrics, status } = this.dependencies
    switch (question.type) {
      case 'status':
        return status()
      case 'health':
        return health()
      case 'metrics':
        return metrics()
      case 'submit':
        return Promise.all(question.transactions.map((transaction) => this.submit(transaction)))
      case 'batch':
        return this.waitFor(batch, question)
    }
  }

  /** Why it is refused, if it is. */
  private async submit(transaction: Uint8Array): Promise<SubmitRefusal | undefined> {
    try {
      await this.dependencies.submit(transaction)
      return undefined
    } catch (error) {
      if (!(error instanceof NarvalError)) throw error
      return { code: error.code, message: error.message }
    }
  }

  /** Whether it came in time: nobody may wait for it by then, so the thread asks again. */
  private async waitFor(
    wait: GatewayNodeDependencies['batch'],
    { batch, commit }: Extract<GatewayQuestion, { type: 'batch' }>,
  ): Promise<boolean> {
    const late = AbortSignal.timeout(GATEWAY_BATCH_MS)
    try {
      await wait(batch, commit, late)
      return true
    } catch (error) {
      if (late.aborted) return false
      throw error
    }
  }

  private task(): Omit<GatewayTask, 'port'> {
    const { committee, listen, origins, ownIndex, store, token, transactionBytesMax } = this.options
    return {
      memory: this.memory,
      questions: this.channel.port2,
      ...{ listen, origins, store },
      ...only('token', token),
      authority: {
        name: committee.authority(ownIndex).name,
        version: VERSION,
        transactionBytesMax,
        committee: committee.authorities.map(({ name, stake, workers }) => ({
          name,
          stake,
          workers: [...workers.keys()],
        })),
        committeeDigest: Buffer.from(committeeDigest(committee)).toString('hex'),
      },
    }
  }
}

type Said = GatewayAnswers[keyof GatewayAnswers]
