/** The part of the wiring that is for batches of ours that go out once more, from the store. */
import { ownSlotsTotal } from '../../shared/memory/layout.js'
import type { Arena } from '../../shared/memory/slots.js'
import { SlotPool } from '../lib/slot-pool.js'
import type { Supervisor } from '../lib/supervisor.js'
import type { WorkerMetrics } from '../metrics/metrics.js'
import type { ProcessorClient } from '../thread-host/processor-client.js'
import type { Dissemination } from './dissemination/dissemination.js'
import { Healer } from './dissemination/healer.js'
import { Renewer } from './dissemination/renewer.js'
import { Resender } from './dissemination/resender.js'
import type { PrimaryReports } from './primary-reports.js'
import type { RefusalReporter } from './refusal-reporter.js'
import type { WiringOptions } from './wiring.js'

export interface ResendsDependencies {
  readonly arena: Arena
  readonly dissemination: Dissemination
  readonly processor: ProcessorClient
  readonly refusals: RefusalReporter
  readonly reports: PrimaryReports
  readonly supervisor: Supervisor
  readonly nowMs: () => number
  /** Our primary commits nothing. */
  readonly isUrgent: () => boolean
  readonly metrics: () => WorkerMetrics
}

export interface ResendsStages {
  readonly resender: Resender
  readonly healer: Healer
  readonly renewer: Renewer
}

export function wireResends(options: WiringOptions, dependencies: ResendsDependencies): ResendsStages {
  const { keys, layout, log, parameters, workerId } = options
  const { arena, dissemination, isUrgent, metrics, nowMs, processor, refusals, reports } = dependencies
  const { watch } = dependencies.supervisor
  const resender = new Resender({
    arena,
    slots: new SlotPool(parameters.ownSlots, ownSlotsTotal(layout.options) - parameters.ownSlots),
    processor,
    dissemination,
    workerId,
    ownKey: keys.publicKey,
    nowMs,
    mayReport: () => !reports.isFull,
  })
  return {
    resender,
    healer: new Healer(
      {
        resender,
        dissemination,
        peers: dissemination.senders.size,
        isUrgent,
        nowMs,
        watch,
        canSendTo: (peer) => dissemination.senders.get(peer)!.takesHeals,
      },
      { onRefused: (reason, from, detail) => refusals.refused('primary', reason, from, detail) },
    ),
    renewer: new Renewer(
      { resender, dissemination, isPrimaryThere: () => reports.isConnected, nowMs, log, watch },
      { onRenewed: () => metrics().renewed() },
    ),
  }
}
