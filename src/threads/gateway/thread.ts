/**
 * The gateway's thread: HTTP and server-sent events for applications. One long-running Piscina task. It writes nothing.
 */
import { LRUCache } from 'lru-cache'
import { listenError } from '../../shared/errors.js'
import { CommitLogHead } from '../../shared/memory/commit-log-head.js'
import { Counters } from '../../shared/memory/counters.js'
import type { GatewayTask } from '../../shared/memory/dialogue/gateway.js'
import { LastApplied } from '../../shared/memory/last-applied.js'
import { LogLimiter, report, reportFailure } from '../../shared/runtime/thread-control.js'
import { startThreadStats } from '../../shared/runtime/thread-stats.js'
import { ProofReaders } from '../../shared/store/proof-readers.js'
import type { GatewayContext } from './context.js'
import { EVENT_CACHE_BYTES } from './limits.js'
import { MainClient } from './main-client.js'
import { Batches } from './order/batches.js'
import { OrderedLog } from './order/ordered-log.js'
import { Streams } from './order/streams.js'
import { createServer } from './server.js'
import { Submits } from './submits.js'

export default async function runGateway(task: GatewayTask): Promise<void> {
  try {
    await run(task)
  } catch (error) {
    reportFailure(task.port, error)
    throw error
  }
}

/** Returns when main has closed the port. */
async function run(task: GatewayTask): Promise<void> {
  const { listen, memory, origins, port, questions, token } = task
  const counters = new Counters(memory.counters.gateway, 'gateway')
  const closed = new Promise<void>((resolve) => questions.once('close', resolve))
  const readers = new ProofReaders(task.store)
  const main = new MainClient(questions)
  const streams = new Streams(counters)
  const head = new CommitLogHead(memory.commitLogHead.buffer, memory.commitLogHead.byteOffset)
  const context: GatewayContext = {
    authority: task.authority,
    ...{ readers, main, streams, counters },
    submits: new Submits(main),
    lastApplied: new LastApplied(memory.lastApplied, false),
    log: new OrderedLog(readers.log, head),
    batches: new Batches(readers.batch, main),
    cache: new LRUCache({ maxSize: EVENT_CACHE_BYTES, sizeCalculation: bytesOf }),
  }
  const limiter = new LogLimiter()
  const app = createServer({ origins, token }, context, (error) => {
    if (limiter.admit('failure', performance.now()) === null) return
    const text = `The gateway could not answer a request: ${error instanceof Error ? error.stack : error}`
    report(port, { type: 'log', level: 'error', text })
  })
  try {
    await app.listen(listen)
  } catch (error) {
    throw listenError(error, 'requests to the gateway', listen, 'change --api')
  }
  const stopStats = startThreadStats(counters)
  report(port, { type: 'ready' })
  await closed
  streams.close()
  main.close()
  await app.close()
  stopStats()
  readers.close()
}

/** What is kept of the events of a batch. */
function bytesOf(pieces: Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 1)
}
