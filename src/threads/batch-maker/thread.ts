/**
 * The batch-maker thread: the clients' port and the submit ring in, sealed slots out. One long-running Piscina task.
 */

import assert from 'node:assert'
import { RING_DRAIN_LIMIT } from '../../shared/constants.js'
import { listenError } from '../../shared/errors.js'
import { ByteRingConsumer } from '../../shared/memory/byte-ring.js'
import { Counters } from '../../shared/memory/counters.js'
import { type BatchMakerTask, batchMakerToMain, mainToBatchMaker } from '../../shared/memory/dialogue/batch-maker.js'
import { Doorbell } from '../../shared/memory/doorbell.js'
import { RingConsumer, RingProducer } from '../../shared/memory/ring.js'
import { Arena } from '../../shared/memory/slots.js'
import { startFullCollections } from '../../shared/runtime/garbage-collector.js'
import { LogLimiter, report, reportFailure } from '../../shared/runtime/thread-control.js'
import { startThreadStats } from '../../shared/runtime/thread-stats.js'
import { BatchMaker } from './batch-maker.js'
import { ClientListener } from './client-listener.js'

export default async function runBatchMaker(task: BatchMakerTask): Promise<void> {
  const { layout, port } = task
  const counters = new Counters(layout.counters['batch-maker'], 'batch-maker')
  const doorbell = new Doorbell(layout.doorbells['batch-maker'])
  const mainDoorbell = new Doorbell(layout.doorbells.main)
  const outgoing = new RingProducer(layout.rings.batchMakerToMain, batchMakerToMain)
  const incoming = new RingConsumer(layout.rings.mainToBatchMaker, mainToBatchMaker)
  const submitted = new ByteRingConsumer(layout.submit)
  const stopStats = startThreadStats(counters)
  startFullCollections()
  const limiter = new LogLimiter()

  const batchMaker = new BatchMaker(task.batchMaker, {
    arena: new Arena(layout.own),
    counters,
    send: (message) => {
      outgoing.push(message)
      mainDoorbell.ring()
    },
  })
  const listener =
    task.listener &&
    new ClientListener(task.listener, {
      batchMaker,
      counters,
      onRefused: (reason, from, detail) => {
        const suppressed = limiter.admit(reason, performance.now())
        if (suppressed === null) return
        const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : ''
        report(port, { type: 'log', level: 'warn', text: `Refused client ${from}: ${reason}: ${detail}${more}` })
      },
    })

  let open = true
  const takeSubmitted = (): number => {
    let taken = 0
    for (;;) {
      const bytes = submitted.drain((data, start, end) => batchMaker.take(data, start, end))
      if (bytes === 0) break
      taken += bytes
      if (batchMaker.stop !== 'none') break
    }
    assert(batchMaker.stop !== 'partial' || taken === 0, 'submit() writes whole frames')
    // Those who wait for room in the submit ring are on main.
    if (taken > 0) mainDoorbell.ring()
    return taken
  }
  const poll = (): number => {
    let unblocked = false
    const found = incoming.drain((message) => {
      if (message.kind === 'close') open = false
      else unblocked = batchMaker.handle(message) || unblocked
    }, RING_DRAIN_LIMIT)
    if (unblocked) listener?.proceed()
    return found + takeSubmitted()
  }

  try {
    await listener?.listen()
  } catch (error) {
    reportFailure(port, listenError(error, `the clients' transactions`, task.listener!))
    stopStats()
    return
  }
  report(port, { type: 'ready' })
  await doorbell.serve(poll, () => open)
  await listener?.close()
  takeSubmitted()
  batchMaker.flush()
  stopStats()
}
