/**
 * The worker's end of the link to its own primary in another process: to the worker it is a primary that orders, like one in
 * this process (`OrderingPrimary`).
 *
 * ```
 *  dial `worker_to_primary` ──▶ open: our store's id, the last commit it applied ──▶ opened
 *      ▲                                                                                │
 *      │                        reports that are not taken yet are sent again ◀─────────┤
 *      │                        the log, from that commit on: `committed` … `replayed`  │
 *      │                        then all that no commit has is told again               │
 *      └──────────── a pause ◀── the connection ends ◀──────────────────────────────────┘
 * ```
 *
 * A report stays here until the primary's store has it: over any number of connections, and of primaries. Where the store of
 * the primary is new, it learns what no commit has; what a commit has it learns from the others.
 */
import { isIPv6 } from 'node:net'
import type { Connection, Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { formatTcpAddress, type TcpAddress } from '../../shared/config/address.js'
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import type { Keys } from '../../shared/config/keys.js'
import { deriveLinkKeySeed } from '../../shared/config/network-key.js'
import { NarvalError } from '../../shared/errors.js'
import type { LinkRefusal } from '../../shared/refusals.js'
import { LogLimiter } from '../../shared/runtime/thread-control.js'
import { decodeFromPrimary, encodeFromWorker, type FromPrimary, LINK_VERSION } from '../../shared/wire/link/messages.js'
import type { BatchReport } from '../../shared/wire/primary-messages.js'
import { capitalized } from '../lib/capitalized.js'
import { Deque } from '../lib/deque.js'
import type { GcRelief } from '../lib/gc-relief.js'
import type { Logger } from '../lib/log.js'
import { sleep } from '../lib/sleep.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { HostNames } from '../names/host-names.js'
import { createLibp2pNode, peerIdOfSeed } from '../network/libp2p-node.js'
import { LINK_PROTOCOL } from '../network/protocols.js'
import type { AttachedWorker, OrderingLink, OrderingPrimary } from '../worker/primary-link/ordering-primary.js'
import { RetryPause } from '../worker/primary-link/retry-pause.js'
import {
  LINK_COMMITTED_MAX,
  LINK_DIAL_MS,
  LINK_MESSAGE_BYTES_MAX,
  LINK_OPEN_MS,
  LINK_READS_MAX,
  LINK_REPORTS_MAX,
} from './limits.js'
import { LinkChannel, type LinkProblem } from './link-channel.js'
import type { LinkState } from './link-state.js'
import { unexpected } from './worker-session.js'

export interface RemotePrimaryOptions {
  readonly keys: Keys
  readonly committee: Committee
  readonly ownIndex: number
  readonly workerId: number
  /** LINK_SILENCE_MS unless given. */
  readonly silenceMs?: number
  /** LINK_OPEN_MS unless given. */
  readonly openMs?: number
}

export interface RemotePrimaryDependencies {
  /** That of this process. */
  readonly gcRelief: GcRelief
  readonly log: Logger
  readonly names: HostNames
  readonly supervisor: Supervisor
  /** The worker is to end, perhaps while it waits for its primary. */
  readonly signal: AbortSignal
}

interface Waiting {
  readonly message: Uint8Array
  readonly resolve: () => void
}

const PING = encodeFromWorker({ type: 'ping' })

export class RemotePrimary implements OrderingPrimary {
  readonly callsMax = LINK_REPORTS_MAX
  private readonly options: RemotePrimaryOptions
  private readonly address: TcpAddress
  private readonly dependencies: RemotePrimaryDependencies
  private readonly ending = new AbortController()
  private readonly limiter = new LogLimiter()
  private readonly pause = new RetryPause()
  /** Reports that the primary's store does not have yet, in order: `callsMax` at most. */
  private readonly reports = new Deque<Waiting>()
  private worker: AttachedWorker | undefined
  private node: Libp2p | undefined
  private channel: LinkChannel | undefined
  private running: Promise<void> = Promise.resolve()
  /** The primary has said `opened` on the link that is there. */
  private isOpened = false
  private isFull = false
  /** Why the primary does not open the link, since it said so last. */
  private refusal: string | undefined
  /** Since when the link is there, in unix ms. */
  private sinceMs: number | undefined
  /** Which of the primary's addresses is tried first: another one when a link was not opened there. */
  private firstAddress = 0
  private hasReplayed = false
  private readonly sequencesAfter: Promise<bigint>
  private settleSequences!: { resolve: (after: bigint) => void; reject: (error: Error) => void }
  private settleReplayed: () => void = () => {}
  /** `committed` messages whose writes are under way, and the last of them: each is said to be applied after those before. */
  private committing = 0
  private committed: Promise<void> = Promise.resolve()
  /** Reads of the primary that are not answered yet. */
  private readonly reads = new Set<Promise<void>>()

  /** Errors: `ERR_ADDRESS_MISSING` if the committee file does not say where our primary is. */
  constructor(options: RemotePrimaryOptions, dependencies: RemotePrimaryDependencies) {
    this.options = options
    this.address = options.committee.primary(options.ownIndex).workerToPrimary
    this.dependencies = dependencies
    this.sequencesAfter = new Promise((resolve, reject) => {
      this.settleSequences = { resolve, reject }
    })
    // Whoever waits hears of it.
    this.sequencesAfter.catch(() => {})
    const stop = dependencies.supervisor.guard('the link to the primary', () => this.stopWaiting())
    dependencies.signal.addEventListener('abort', stop, { once: true })
  }

  /** Resolves when the primary's store has it: when the primary is away, after it is back. */
  readonly onMessage = (report: BatchReport): Promise<void> => {
    const { author, digest, isDelivered = false, sequence, type } = report
    const message = encodeFromWorker({
      type: 'report',
      isOwn: type === 'OurBatch',
      isDelivered,
      author: this.options.committee.indexOf(author),
      sequence,
      digest,
    })
    return new Promise((resolve) => {
      this.reports.pushBack({ message, resolve })
      if (this.isOpened) this.channel?.send(message)
    })
  }

  attach(worker: AttachedWorker): OrderingLink {
    const { supervisor } = this.dependencies
    const replayed = new Promise<void>((resolve) => {
      this.settleReplayed = resolve
    })
    this.worker = worker
    this.running = this.keepLinked()
    supervisor.watch('the link to the primary', this.running)
    // What a worker certifies that its primary refuses, as a second process of the same worker, nobody would ever order.
    const isFull = (): boolean => this.isFull || this.refusal !== undefined
    const isConnected = (): boolean => this.isOpened
    return {
      get isFull() {
        return isFull()
      },
      get isConnected() {
        return isConnected()
      },
      replayed,
      sequencesAfter: this.sequencesAfter,
      remote: { state: () => this.state, refusal: () => this.refusal },
      close: () => this.close(),
    }
  }

  private get state(): LinkState {
    return {
      isConnected: this.isOpened,
      sinceMs: this.sinceMs,
      reports: this.reports.size,
      queuedBytes: this.channel?.queuedBytes ?? 0,
    }
  }

  private async close(): Promise<void> {
    this.ending.abort()
    this.stopWaiting()
    this.channel?.close('the worker is closed')
    this.settleReplayed()
    await this.running.catch(() => {})
    await this.node?.stop()
  }

  private async keepLinked(): Promise<void> {
    const { keys, workerId } = this.options
    const { signal } = this.ending
    await this.lookAtSequences()
    const node = await createLibp2pNode({
      networkKeySeed: deriveLinkKeySeed(keys.seed, workerId),
      authorities: 1,
      gcRelief: this.dependencies.gcRelief,
      admits: () => false,
    })
    this.node = node
    await node.start()
    const peerId = await peerIdOfSeed(deriveLinkKeySeed(keys.seed, 'primary'))
    while (!signal.aborted) {
      const connection = await this.dial(node, peerId)
      const sinceMs = performance.now()
      const hasOpened = connection !== undefined && (await this.serve(connection))
      if (connection !== undefined && !hasOpened) this.firstAddress += 1
      const lastedMs = hasOpened ? performance.now() - sinceMs : 0
      await sleep(this.pause.after(connection === undefined ? undefined : lastedMs), signal)
    }
  }

  /** A store that was used goes on above what it has used. A new one must not use again what one before it did. */
  private async lookAtSequences(): Promise<void> {
    const { isNew } = await this.worker!.commitState()
    if (!isNew) this.settleSequences.resolve(0n)
    else {
      this.dependencies.log.info(
        `The store is new: before it makes batches, our primary at ${formatTcpAddress(this.address)} has to say which sequences were used`,
      )
    }
  }

  private stopWaiting(): void {
    this.settleSequences.reject(new NarvalError('ERR_CLOSED', 'it was closed while it waited for its primary'))
  }

  /** A connection to our primary, whose key noise has proved; each address of its name is tried. */
  private async dial(node: Libp2p, peerId: string): Promise<Connection | undefined> {
    const { names } = this.dependencies
    const { host, port } = this.address
    const where = formatTcpAddress({ host, port })
    const hosts = await names.resolve(host)
    let problem = hosts.length === 0 ? `the name does not resolve (${names.failureOf(host)})` : ''
    for (let index = 0; index < hosts.length; index += 1) {
      const address = hosts[(this.firstAddress + index) % hosts.length]!
      if (this.ending.signal.aborted) return undefined
      const to = multiaddr(`/${isIPv6(address) ? 'ip6' : 'ip4'}/${address}/tcp/${port}/p2p/${peerId}`)
      try {
        return await node.dial(to, { signal: this.timeout() })
      } catch (error) {
        problem = (error as Error).message
      }
    }
    this.say('warn', `Cannot reach our primary at ${where}: ${problem}`)
    return undefined
  }

  /** From `open` to the end of the connection. Whether the primary has opened the link. */
  private async serve(connection: Connection): Promise<boolean> {
    const stream = await connection.newStream([LINK_PROTOCOL], { signal: this.timeout() }).catch((error: Error) => {
      this.say('warn', `Our primary does not speak ${LINK_PROTOCOL}: ${error.message}`)
    })
    if (stream === undefined || this.ending.signal.aborted) {
      connection.abort(new Error('no link'))
      return false
    }
    const { log, supervisor } = this.dependencies
    const { silenceMs } = this.options
    const closed = new Promise<string>((resolve) => {
      this.channel = new LinkChannel(
        { connection, stream, bytesMax: LINK_MESSAGE_BYTES_MAX, ping: PING, ...(silenceMs && { silenceMs }) },
        {
          onMessage: (bytes) => this.take(decodeFromPrimary(bytes, this.options.committee.size)),
          onRefused: (reason, detail) => this.refused(reason, detail),
          onClosed: resolve,
        },
        supervisor,
      )
    })
    const late = this.closeIfNotOpened(this.channel!)
    await this.sayOpen(this.channel!)
    const why = await closed
    clearTimeout(late)
    const wasOpened = this.isOpened
    this.isOpened = false
    this.sinceMs = undefined
    this.channel = undefined
    if (wasOpened) {
      this.worker!.onConnection()
      if (!this.ending.signal.aborted) log.warn(`Lost our primary: ${why}`)
    }
    // What was committed is in the store before it is asked where it is, and the next link has all of its reads.
    await Promise.allSettled([this.committed, ...this.reads])
    return wasOpened
  }

  /** A primary that pings and opens nothing is asked again, at another address if it has one. */
  private closeIfNotOpened(channel: LinkChannel): NodeJS.Timeout {
    const { openMs = LINK_OPEN_MS } = this.options
    const close = this.dependencies.supervisor.guard('the link to the primary', () => {
      if (!this.isOpened) channel.refuse('link-not-opened', `our primary has not opened the link within ${openMs} ms`)
    })
    return setTimeout(close, openMs)
  }

  private async sayOpen(channel: LinkChannel): Promise<void> {
    const { committee, workerId } = this.options
    const { applied, isSettled, storeId } = await this.worker!.commitState()
    channel.send(
      encodeFromWorker({
        type: 'open',
        version: LINK_VERSION,
        workerId,
        committeeDigest: committeeDigest(committee),
        storeId,
        applied,
        isSettled,
      }),
    )
  }

  private take(message: FromPrimary): LinkProblem | undefined {
    if (message.type === 'ping') return undefined
    if (message.type === 'opened') return this.opened(message)
    if (message.type === 'refused') {
      if (this.isOpened) return unexpected('refused after opened')
      this.refusal = `our primary refuses this worker: ${message.detail}`
      this.say('error', capitalized(this.refusal))
      return undefined
    }
    if (!this.isOpened) return unexpected(`${message.type} before opened`)
    switch (message.type) {
      case 'taken':
        return this.taken(message.count)
      case 'committed':
        return this.takeCommitted(message)
      case 'named':
        this.worker!.named(message.digests, message.isAnew)
        return undefined
      case 'unnamed':
        this.worker!.unnamed(message.digests)
        return undefined
      case 'commits':
        this.worker!.onCommits()
        return undefined
      case 'gap':
        this.worker!.onGap()
        return undefined
      case 'replayed':
        this.replayed()
        return undefined
      case 'synchronize':
        this.worker!.synchronize(message.digests, message.author)
        return undefined
      case 'room':
        this.isFull = message.isFull
        return undefined
      case 'read':
        return this.read(message.id, message.digest)
    }
  }

  private opened({ isFull, sequencesAfter }: Extract<FromPrimary, { type: 'opened' }>): LinkProblem | undefined {
    if (this.isOpened) return unexpected('a second opened')
    this.isOpened = true
    this.refusal = undefined
    this.sinceMs = Date.now()
    this.isFull = isFull
    this.settleSequences.resolve(sequencesAfter)
    this.dependencies.log.info(`Connected to our primary at ${formatTcpAddress(this.address)}`)
    for (const { message } of this.reports) this.channel!.send(message)
    this.worker!.onConnection()
    return undefined
  }

  private taken(count: number): LinkProblem | undefined {
    if (count > this.reports.size) return unexpected(`${count} taken, of ${this.reports.size} reports`)
    for (let left = count; left > 0; left -= 1) this.reports.popFront()!.resolve()
    return undefined
  }

  private takeCommitted({ digests, place }: Extract<FromPrimary, { type: 'committed' }>): LinkProblem | undefined {
    if (this.committing >= LINK_COMMITTED_MAX) return unexpected(`more than ${LINK_COMMITTED_MAX} committed at a time`)
    this.committing += 1
    const { channel } = this
    const written = this.worker!.committed(digests, place)
    const before = this.committed
    const applied = (async () => {
      await Promise.all([before, written])
      this.committing -= 1
      channel!.send(encodeFromWorker({ type: 'applied', count: 1 }))
    })()
    this.committed = applied.catch(() => {})
    this.dependencies.supervisor.watch('what is committed', applied)
    return undefined
  }

  /**
   * The store knows of all commits that the log had when the link began. What it knows in no commit is told: at the first
   * time by the worker's recovery, later as after a gap, since the primary or its store may be another one.
   */
  private replayed(): void {
    if (this.hasReplayed) this.worker!.onGap()
    this.hasReplayed = true
    this.settleReplayed()
  }

  private read(id: number, digest: Uint8Array): LinkProblem | undefined {
    if (this.reads.size >= LINK_READS_MAX) return unexpected(`more than ${LINK_READS_MAX} reads at a time`)
    const answered = this.answer(this.channel!, id, digest).finally(() => this.reads.delete(answered))
    this.reads.add(answered)
    this.dependencies.supervisor.watch('a read of the primary', answered)
    return undefined
  }

  private async answer(channel: LinkChannel, id: number, digest: Uint8Array): Promise<void> {
    const worker = this.worker!
    const found = await worker.read(digest)
    const author = found === undefined ? -1 : this.options.committee.indexOf(found.author)
    if (found === undefined || author === -1) {
      channel.send(encodeFromWorker({ type: 'absent', id, firstKept: worker.firstKept() }))
    } else channel.send(encodeFromWorker({ type: 'found', id, author, bytes: found.bytes }))
  }

  private refused(reason: LinkRefusal, detail: string): void {
    this.worker!.onRefused(reason, detail)
  }

  private timeout(): AbortSignal {
    return AbortSignal.any([this.ending.signal, AbortSignal.timeout(LINK_DIAL_MS)])
  }

  /** A primary that is away for long must not fill the log. */
  private say(level: 'warn' | 'error', text: string): void {
    if (this.ending.signal.aborted) return
    const suppressed = this.limiter.admit(level, performance.now())
    if (suppressed !== null)
      this.dependencies.log[level](suppressed === 0 ? text : `${text} (${suppressed} more such lines)`)
  }
}
