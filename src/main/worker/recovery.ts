/**
 * What an earlier run left, told again at boot: own batches that were not reported are sent again (Resender), and
 * others' batches of the last `gc_depth` rounds are reported again.
 */
import type { Logger } from '../lib/log.js'
import { sleep } from '../lib/sleep.js'
import type { ProcessorClient } from '../thread-host/processor-client.js'
import type { RecoveryHandlers, Resender } from './dissemination/resender.js'
import { ignoreClosed } from './ignore-closed.js'
import { REPORT_ROOM_POLL_MS } from './limits.js'
import { PRIMARY_QUEUE_MAX } from './primary-link/limits.js'
import type { PrimaryReports } from './primary-reports.js'

export interface RecoveryOptions {
  readonly gcDepthRounds: number
  readonly ownKey: Uint8Array
  /** Where the sequences of this run begin. */
  readonly firstSequence: bigint
}

export interface RecoveryDependencies extends RecoveryHandlers {
  readonly processor: Pick<ProcessorClient, 'ask'>
  readonly resender: Resender
  readonly reports: PrimaryReports
  readonly isOpen: () => boolean
  readonly log: Logger
}

export async function recover(options: RecoveryOptions, dependencies: RecoveryDependencies): Promise<void> {
  const { log, resender } = dependencies
  try {
    const recovered = await resender.recover(options.firstSequence, dependencies)
    if (recovered > 0) log.info(`Sent ${recovered} batches again that the primary was not told of`)
    await reportRecent(options, dependencies)
  } catch (error) {
    ignoreClosed(error)
  }
}

async function reportRecent(options: RecoveryOptions, dependencies: RecoveryDependencies): Promise<void> {
  const { isOpen, processor, reports } = dependencies
  const rounds = BigInt(options.gcDepthRounds)
  let after: Uint8Array | undefined
  do {
    // At most half of the queue, so that what is stored meanwhile is not dropped for it.
    while (reports.queued > PRIMARY_QUEUE_MAX / 2 && isOpen()) await sleep(REPORT_ROOM_POLL_MS)
    const { found, next } = await processor.ask({ type: 'recent', rounds, after })
    for (const { digest, author } of found) {
      if (Buffer.compare(author, options.ownKey) !== 0) reports.othersStored(digest)
    }
    after = next
  } while (after !== undefined)
}
