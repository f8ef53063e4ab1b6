/**
 * What an earlier run left, told again at boot: own batches that were not reported are sent again (Resender), and
 * others' batches of the last `gc_depth` rounds are reported again.
 *
 * A primary that says what is committed is told instead of all that no commit has, own batches and others', once it is
 * known what it has committed meanwhile. It passes over what it knows; one whose store is new learns everything. No batch
 * goes over the network for that, and none is read.
 */
import type { KeptBatches } from '../../shared/memory/dialogue/processor.js'
import type { Logger } from '../lib/log.js'
import { sleep } from '../lib/sleep.js'
import type { ProcessorClient } from '../thread-host/processor-client.js'
import type { RecoveryHandlers, Resender } from './dissemination/resender.js'
import { ignoreClosed } from './ignore-closed.js'
import { REPORT_ROOM_POLL_MS } from './limits.js'
import { PRIMARY_QUEUE_MAX } from './primary-link/limits.js'
import type { ReportedBatch } from './primary-link/primary-link.js'
import type { PrimaryReports } from './primary-reports.js'

export interface RecoveryOptions {
  readonly gcDepthRounds: number
  /** The primary says what is committed. */
  readonly isOrdered: boolean
  readonly ownKey: Uint8Array
  /** Where the sequences of this run begin. */
  readonly firstSequence: bigint
}

export interface RecoveryDependencies extends RecoveryHandlers {
  readonly processor: Pick<ProcessorClient, 'ask'>
  readonly resender: Resender
  readonly reports: PrimaryReports
  readonly isOpen: () => boolean
  /** The authority index of a public key; -1 for none. */
  readonly indexOf: (publicKey: Uint8Array) => number
  readonly log: Logger
}

export async function recover(options: RecoveryOptions, dependencies: RecoveryDependencies): Promise<void> {
  const { log, reports, resender } = dependencies
  try {
    await reports.replayed
    const recovered = await resender.recover(options.firstSequence, dependencies)
    if (recovered > 0) log.info(`Sent ${recovered} batches again that the primary was not told of`)
    if (options.isOrdered) await tellUncommitted(options, dependencies)
    else await reportRecent(options, dependencies)
  } catch (error) {
    ignoreClosed(error)
  }
}

/** Tells the primary of all batches that no commit has, as far as the store knows, and that were told of before. */
export async function tellUncommitted(
  { ownKey }: Pick<RecoveryOptions, 'ownKey'>,
  dependencies: WalkDependencies,
): Promise<void> {
  const { processor, reports } = dependencies
  await walk(
    (after) => processor.ask({ type: 'uncommitted', after }),
    (batch, key) => {
      if (Buffer.compare(key, ownKey) === 0) reports.ownAgain(batch)
      else reports.othersStored(batch)
    },
    dependencies,
  )
}

async function reportRecent(options: RecoveryOptions, dependencies: WalkDependencies): Promise<void> {
  const { processor, reports } = dependencies
  const rounds = BigInt(options.gcDepthRounds)
  await walk(
    (after) => processor.ask({ type: 'recent', rounds, after }),
    (batch, key) => {
      if (Buffer.compare(key, options.ownKey) !== 0) reports.othersStored(batch)
    },
    dependencies,
  )
}

type WalkDependencies = Pick<RecoveryDependencies, 'indexOf' | 'isOpen' | 'processor' | 'reports'>

async function walk(
  ask: (after: Uint8Array | undefined) => Promise<KeptBatches>,
  tell: (batch: ReportedBatch, authorKey: Uint8Array) => void,
  { indexOf, isOpen, reports }: WalkDependencies,
): Promise<void> {
  let after: Uint8Array | undefined
  do {
    // At most half of the queue, so that what is stored meanwhile is not dropped for it.
    while (reports.queued > PRIMARY_QUEUE_MAX / 2 && isOpen()) await sleep(REPORT_ROOM_POLL_MS)
    const { found, next } = await ask(after)
    for (const { author: key, digest, isDelivered, sequence } of found) {
      const author = indexOf(key)
      if (author !== -1) tell({ digest, author, sequence, isDelivered }, key)
    }
    after = next
  } while (after !== undefined)
}
