/** What each thread of a worker is started with: parts of the worker's options, in the form that the thread takes. */
import type { MessagePort } from 'node:worker_threads'
import { commitsKept, namedBytesMax } from '../../shared/config/parameters.js'
import type { BatchMakerTask } from '../../shared/memory/dialogue/batch-maker.js'
import type { ProcessorTask } from '../../shared/memory/dialogue/processor.js'
import type { QuorumWaiterTask } from '../../shared/memory/dialogue/quorum-waiter.js'
import { ownSlotsTotal } from '../../shared/memory/layout.js'
import { ACK_LEVELS } from '../../shared/wire/ack.js'
import type { WiringOptions } from './wiring.js'

/** The port of a thread is `Threads`' own. */
type WithoutPort<T> = Omit<T, 'port'>

/** @param control the processor's end of the port on which main asks it */
export function processorTask(options: WiringOptions, control: MessagePort): WithoutPort<ProcessorTask> {
  const { benchmark, committee, isOrdered, keys, layout, ownIndex, parameters, store, workerId } = options
  return {
    layout,
    control,
    processor: {
      workerId,
      batchBytesMax: parameters.batchBytesMax,
      authorities: committee.authorities.map(({ publicKey }) => publicKey),
      stakes: committee.authorities.map(({ stake }) => stake),
      ownIndex,
      storeBytesMax: parameters.storeBytesMax,
      lifetime: isOrdered
        ? { namedBytesMax: namedBytesMax(parameters, committee.size), retentionBytes: parameters.retentionBytes }
        : undefined,
      benchmark,
    },
    store: {
      directory: store,
      authority: keys.publicKey,
      workerId,
      level: parameters.ackLevel,
      retentionRounds: parameters.retentionRounds,
      // Each round has a commit for each authority, at most.
      retentionCommits: isOrdered ? commitsKept(parameters, committee.size) : undefined,
    },
  }
}

/** @param freshRounds how long an ACK counts */
export function quorumWaiterTask(
  options: WiringOptions,
  freshRounds: QuorumWaiterTask['tally']['freshRounds'],
): QuorumWaiterTask {
  const { committee, layout, ownIndex, parameters } = options
  return {
    layout,
    tally: {
      stakes: committee.authorities.map(({ stake }) => stake),
      ownIndex,
      quorumThreshold: committee.quorumThreshold,
      entriesMax: ownSlotsTotal(layout.options),
      requiredLevel: ACK_LEVELS[parameters.ackLevel],
      freshRounds,
    },
  }
}

export function batchMakerTask(options: WiringOptions): WithoutPort<BatchMakerTask> {
  const { bind, clients, committee, layout, ownIndex, parameters, workerId } = options
  return {
    layout,
    batchMaker: {
      workerId,
      batchBytesMax: parameters.batchBytesMax,
      maxBatchDelayMs: parameters.maxBatchDelayMs,
    },
    listener: clients
      ? {
          host: bind,
          port: committee.worker(ownIndex, workerId).transactions.port,
          connectionsMax: parameters.clientConnectionsMax,
          idleTimeoutMs: parameters.clientIdleTimeoutMs,
        }
      : undefined,
  }
}
