/**
 * The processor thread: batches in from main's two rings, answers out after their commit; requests to the store over a
 * message port. One long-running Piscina task. It is the store's only writer, and holds its lock.
 */

import type { MessagePort } from 'node:worker_threads'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import type { NarvalError } from '../../shared/errors.js'
import { AuthorBytes } from '../../shared/memory/author-bytes.js'
import { Counters } from '../../shared/memory/counters.js'
import {
  type InboundWork,
  inboundWork,
  type OwnWork,
  ownWork,
  type ProcessorCall,
  type ProcessorReply,
  type ProcessorTask,
  processorToMain,
} from '../../shared/memory/dialogue/processor.js'
import { Doorbell } from '../../shared/memory/doorbell.js'
import { RingConsumer, RingProducer } from '../../shared/memory/ring.js'
import { Arena } from '../../shared/memory/slots.js'
import { startFullCollections } from '../../shared/runtime/garbage-collector.js'
import { LogLimiter, report, reportFailure } from '../../shared/runtime/thread-control.js'
import { startThreadStats } from '../../shared/runtime/thread-stats.js'
import { ignoreFailedCommit } from '../../shared/store/failed-commit.js'
import { lockStore } from '../../shared/store/lock.js'
import { StoreWatch } from '../../shared/store/store-watch.js'
import { storedBytes } from '../../shared/store/stored-bytes.js'
import { answerRequest } from './control.js'
import { Processor } from './processor.js'
import { Shares } from './shares.js'
import { Store } from './store.js'
import type { Damage } from './verified-reads.js'

/** Batches in one turn: some share a commit, and a request to the store does not wait long. */
const BATCHES_PER_TURN = 16

export default async function runProcessor(task: ProcessorTask): Promise<void> {
  const { layout, port, control } = task
  const counters = new Counters(layout.counters.processor, 'processor')
  const doorbell = new Doorbell(layout.doorbells.processor)
  const mainDoorbell = new Doorbell(layout.doorbells.main)
  const own = new RingConsumer(layout.rings.ownWork, ownWork)
  const inbound = new RingConsumer(layout.rings.inboundWork, inboundWork)
  const outgoing = new RingProducer(layout.rings.processorToMain, processorToMain)

  const limiter = new LogLimiter()
  let store: Store | undefined
  /** With each change of what the store has: main pauses clients by it. Before it is open there is nothing to be said. */
  let showStore = (): void => {}
  const shares = new Shares({
    stakes: task.processor.stakes,
    ownIndex: task.processor.ownIndex,
    storeBytesMax: task.processor.storeBytesMax,
    reserveBytes: layout.own.slots * storedBytes(task.processor.batchBytesMax),
    batchStoredBytesMax: storedBytes(task.processor.batchBytesMax),
    lifetime: task.processor.lifetime,
  })
  const authorBytes = new AuthorBytes(layout.authorBytes)
  for (const [author, share] of shares.shares.entries()) authorBytes.set(author, 0, share)
  const indices = new Map(task.processor.authorities.map((key, index) => [encodeBase64(key), index]))
  let lock: { release(): void }
  try {
    lock = lockStore(task.store.directory)
  } catch (error) {
    reportFailure(port, error)
    return
  }
  let fail: (error: NarvalError) => void = () => {}
  const fatal = new Promise<NarvalError>((resolve) => {
    fail = resolve
  })
  process.on('unhandledRejection', ignoreFailedCommit)
  // lmdb-js prints what it rejects with as well, as a stack between the lines of the log.
  console.error = (...said: unknown[]) =>
    report(port, { type: 'log', level: 'debug', text: `LMDB: ${said.map(String)}` })
  try {
    store = new Store(task.store, {
      onFatal: fail,
      onNotice: (text) => report(port, { type: 'log', level: 'warn', text }),
      onDeleted: (count) => {
        counters.add('deletedBatches', count)
      },
      onDamaged: (damage, isUnreported) => {
        counters.add('damagedBatches')
        reportDamage(port, limiter, damage, isUnreported)
      },
      committedBytesMax: () => shares.committedBytesMax,
      onFirstKept: (first) => counters.set('storeFirstKept', Number(first)),
      onBytes: (key, bytes, lifetime) => {
        const author = indices.get(encodeBase64(key)) ?? -1
        shares.add(author, bytes, lifetime)
        // What is committed makes room for it.
        if (bytes > 0 && lifetime !== 'committed') void store?.letGo()
        if (author !== -1) authorBytes.set(author, shares.of(author), shares.shares[author]!)
        showStore()
      },
      onStarved: (isStarved) => {
        processor.showStore()
        // What waits in the rings is answered now.
        doorbell.ring()
        const text = isStarved
          ? 'This process may open no more files: batches wait, or are refused, until it may; raise its limit (ulimit -n)'
          : 'Files can be opened again: batches go on'
        report(port, { type: 'log', level: 'warn', text })
      },
    })
    store.checkSettings(task.processor)
  } catch (error) {
    await store?.close()
    lock.release()
    reportFailure(port, error)
    return
  }
  const early = await Promise.race([store.open(), fatal])
  if (early !== undefined) {
    lock.release()
    reportFailure(port, early)
    return
  }

  const watch = new StoreWatch(task.store.directory, {
    onFileBytes: (bytes) => counters.set('storeFileBytes', bytes + store.segmentBytes),
    onFlushFailed: (error) => store.flushFailed(error),
    clearDeadReaders: () => store.clearDeadReaders(),
  })
  const processor = new Processor(task.processor, {
    own: new Arena(layout.own),
    inbound: new Arena(layout.inbound),
    store,
    shares,
    counters,
    send: (message) => {
      outgoing.push(message)
      mainDoorbell.ring()
    },
    onRelieved: () => doorbell.ring(),
    log: (text) => report(port, { type: 'log', level: 'info', text }),
    logRefusal: (key, text) => {
      const more = limiter.admit(key, performance.now())
      if (more === null) return
      report(port, { type: 'log', level: 'warn', text: more === 0 ? text : `${text} (and ${more} more like it)` })
    },
  })
  showStore = () => processor.showStore()
  let open = true
  const answering = new Set<Promise<void>>()
  const answer = async ({ id, request }: ProcessorCall): Promise<void> => {
    const { answer, transfer } = await answerRequest(request, store, processor, () => open)
    control.postMessage({ id, answer } satisfies ProcessorReply, transfer as ArrayBuffer[])
  }
  control.on('message', (call: ProcessorCall) => {
    const done = answer(call).finally(() => answering.delete(done))
    answering.add(done)
  })
  control.on('close', () => {
    open = false
    store.stop()
    doorbell.ring()
  })
  const takeOwn = (work: OwnWork): void => processor.own(work)
  const takeForeign = (work: InboundWork): void => processor.foreign(work)
  const poll = (): number => {
    let taken = 0
    // One of each in turn: neither ring waits for the other.
    while (taken < BATCHES_PER_TURN && !processor.isSaturated) {
      const found = own.drain(takeOwn, 1) + inbound.drain(takeForeign, 1)
      if (found === 0) break
      taken += found
    }
    return taken
  }

  processor.showStore()
  if (shares.problem !== undefined) report(port, { type: 'log', level: 'warn', text: shares.problem })
  const stopStats = startThreadStats(counters)
  startFullCollections()
  report(port, { type: 'ready' })
  const finish = async (): Promise<undefined> => {
    // What main had handed over is stored before the store is closed.
    do await processor.settled()
    while (poll() > 0)
    await Promise.all(answering)
    await watch.close()
    await store.close()
  }
  const serve = doorbell.serve(poll, () => open).then(finish)
  const failure = await Promise.race([serve, fatal])
  stopStats()
  if (failure !== undefined) {
    void watch.close()
    lock.release()
    reportFailure(port, failure)
    throw failure
  }
  lock.release()
}

/** Loudly for what is lost unless others hold it; else a line now and then. */
function reportDamage(port: MessagePort, limiter: LogLimiter, { digest }: Damage, isUnreported: boolean): void {
  const more = limiter.admit(`damaged ${isUnreported}`, performance.now())
  if (more === null) return
  const others = more > 0 ? `, and ${more} more; \`narval check\` names all` : ''
  report(port, {
    type: 'log',
    level: isUnreported ? 'error' : 'warn',
    text: isUnreported
      ? `An own batch that the primary was not told of is damaged in the store, and is not sent again: ${encodeBase64(digest)}${others}`
      : `A stored batch is damaged, and counts as not stored: ${encodeBase64(digest)}${others}`,
  })
}
