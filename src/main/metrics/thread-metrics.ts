/** What the threads count in shared memory, as metrics. */
import type { Registry } from 'prom-client'
import { type Counters, HOSTED_THREADS, type HostedThreadName } from '../../shared/memory/counters.js'
import { addCounter, addGauge, addLevel, addSum } from './families.js'
import type { MetricsSources } from './sources.js'

export function addThreadMetrics(registry: Registry, counters: MetricsSources['counters']): void {
  addRuntimeMetrics(registry, counters)
  addBatchMaker(registry, counters['batch-maker'])
  addProcessor(registry, counters.processor)
  addQuorumWaiter(registry, counters['quorum-waiter'])
}

/** What every thread measures of itself. */
export function addRuntimeMetrics(
  registry: Registry,
  counters: { readonly [T in HostedThreadName]?: Counters<T> },
): void {
  const threads = Object.keys(counters) as HostedThreadName[]
  // A thread that blocks has no event loop to be delayed, and hears nothing of its own garbage collections.
  const loopThreads = threads.filter((thread) => !HOSTED_THREADS[thread].blocks)
  // Every row has these fields; the type of one stands for all.
  const row = (thread: HostedThreadName): Counters<'main'> => counters[thread] as unknown as Counters<'main'>
  addGauge(registry, {
    name: 'narval_event_loop_delay_seconds',
    help: 'Delay of the event loop in the last second, beyond the resolution of its measurement.',
    labels: ['thread', 'quantile'],
    read: () =>
      loopThreads.flatMap((thread) => [
        [{ thread, quantile: '0.5' }, row(thread).get('loopDelayP50Ms') / 1000] as const,
        [{ thread, quantile: '0.99' }, row(thread).get('loopDelayP99Ms') / 1000] as const,
      ]),
  })
  addGauge(registry, {
    name: 'narval_thread_utilisation',
    help: 'Share of the last second in which the thread worked, 0 to 1.',
    labels: ['thread'],
    read: () => threads.map((thread) => [{ thread }, row(thread).get('loopUtilisation')] as const),
  })
  addCounter(registry, {
    name: 'narval_gc_major_total',
    help: 'Full (mark-compact) garbage collections.',
    labels: ['thread'],
    read: () => loopThreads.map((thread) => [{ thread }, row(thread).get('gcMajor')] as const),
  })
  addCounter(registry, {
    name: 'narval_gc_seconds_total',
    help: 'Time of all garbage collections.',
    labels: ['thread'],
    read: () => loopThreads.map((thread) => [{ thread }, row(thread).get('gcMs') / 1000] as const),
  })
}

function addBatchMaker(registry: Registry, row: Counters<'batch-maker'>): void {
  addCounter(registry, {
    name: 'narval_batches_sealed_total',
    help: 'Own batches sealed, by what sealed them: the next transaction did not fit (size), max_batch_delay was over (delay), or nothing was under way (idleness).',
    labels: ['by'],
    read: () => [
      [{ by: 'size' }, row.get('batchesSealedBySize')],
      [{ by: 'delay' }, row.get('batchesSealedByDelay')],
      [{ by: 'idleness' }, row.get('batchesSealedByIdleness')],
    ],
  })
  addLevel(registry, 'narval_client_connections', 'Connections of clients.', () => row.get('connections'))
  addSum(registry, 'narval_client_pauses_total', 'Times that a client was paused for lack of a free slot.', () =>
    row.get('pauses'),
  )
}

function addProcessor(registry: Registry, row: Counters<'processor'>): void {
  addCounter(registry, {
    name: 'narval_batches_stored_total',
    help: 'Batches stored: our own, those of others, and those of others that were stored before.',
    labels: ['kind'],
    read: () => [
      [{ kind: 'own' }, row.get('ownStored')],
      [{ kind: 'inbound' }, row.get('inboundStored')],
      [{ kind: 'again' }, row.get('inboundAgain')],
    ],
  })
  addSum(registry, 'narval_batches_deleted_total', 'Batches deleted from the store by retention.', () =>
    row.get('deletedBatches'),
  )
  addSum(
    registry,
    'narval_batches_damaged_total',
    'Stored batches that were read and are not what their digests name.',
    () => row.get('damagedBatches'),
  )
  addLevel(
    registry,
    'narval_store_file_bytes',
    "Bytes of all files of the worker's store, with what is free in them.",
    () => row.get('storeFileBytes'),
  )
  addLevel(registry, 'narval_store_bytes', 'Bytes that the stored batches take.', () => row.get('storeBytes'))
  addLevel(
    registry,
    'narval_store_named_bytes',
    'Of these, batches that headers or certificates list and no commit has; under a narval primary.',
    () => row.get('storeNamedBytes'),
  )
  addLevel(
    registry,
    'narval_store_committed_bytes',
    'Of these, batches that a commit has; under a narval primary.',
    () => row.get('storeCommittedBytes'),
  )
  addLevel(
    registry,
    'narval_store_first_kept',
    'The first commit whose batches are kept, under a narval primary.',
    () => row.get('storeFirstKept'),
  )
  addLevel(registry, 'narval_store_full', '1 while our share of the store, or all of it, is full.', () =>
    row.get('storeFull'),
  )
  addSum(
    registry,
    'narval_store_commit_seconds_sum',
    'Time from the start of the processing of a batch to its commit, over all batches.',
    () => row.get('commitMs') / 1000,
  )
  addSum(registry, 'narval_store_commit_seconds_count', 'Batches in narval_store_commit_seconds_sum.', () =>
    row.get('commits'),
  )
}

function addQuorumWaiter(registry: Registry, row: Counters<'quorum-waiter'>): void {
  addSum(registry, 'narval_acks_total', 'ACKs judged by the quorum-waiter, counted or not.', () => row.get('acks'))
  addLevel(registry, 'narval_tally_entries', 'Batches that the quorum-waiter keeps a tally of.', () =>
    row.get('entries'),
  )
}
