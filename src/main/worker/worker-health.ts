/** What a worker's stages say of its health. */
import type { Committee } from '../../shared/config/committee.js'
import { shortName } from '../../shared/config/short-name.js'
import { ACK_LEVELS, type AckLevel } from '../../shared/wire/ack.js'
import { type Health, healthOf } from '../metrics/health.js'
import { stillnessText } from './primary-link/stillness-log.js'
import type { Wiring } from './wiring.js'

/** A peer that has been connected for this long has had the time to open a stream, or to refuse it, ms. */
const STREAM_MISSING_MS = 5_000

export interface WorkerHealthOptions {
  readonly committee: Committee
  readonly ownIndex: number
  readonly ackLevel: AckLevel
  readonly retentionRounds: number
  readonly isOrdered: boolean
}

export class WorkerHealth {
  private readonly options: WorkerHealthOptions
  private readonly stages: Wiring
  private readonly isOpen: () => boolean

  /** @param isOpen whether everything is there, and nothing has asked for the end */
  constructor(options: WorkerHealthOptions, stages: Wiring, isOpen: () => boolean) {
    this.options = options
    this.stages = stages
    this.isOpen = isOpen
  }

  now(): Health {
    const { ackLevel, committee, isOrdered, ownIndex, retentionRounds } = this.options
    const { commits, dissemination, peers, processorCounters, reports } = this.stages
    const still = commits.look()
    return healthOf({
      quorumThreshold: committee.quorumThreshold,
      ownStake: committee.stakeOf(ownIndex),
      connectedStake: peers.connectedStake(ACK_LEVELS[ackLevel]),
      peerProblems: peers.problems(ACK_LEVELS[ackLevel]),
      uncertifiedMs: dissemination.oldestUncertifiedMs,
      streamProblems: this.streamProblems(),
      storeFull: processorCounters.get('storeFull') === 1,
      ownShareUsed: processorCounters.get('storeOwnUsed'),
      shareUsedAtQuorum: dissemination.shareUse.ofQuorum,
      keepsAll: retentionRounds === 0,
      isOrdered,
      storeOpen: this.isOpen(),
      primaryConnected: reports.isConnected,
      primaryRefusal: reports.remote?.refusal(),
      link: reports.remote?.state(),
      primaryStill: still === undefined ? undefined : stillnessText(still),
    })
  }

  /** Peers that are connected and take no batches of ours; for people. */
  private streamProblems(): string[] {
    const { dissemination, peers } = this.stages
    const sinceMs = Date.now() - STREAM_MISSING_MS
    return peers.peers
      .filter(({ connections, index }) => {
        const [oldest] = connections
        if (oldest === undefined || oldest.timeline.open > sinceMs) return false
        return !dissemination.senders.get(index)!.isOpen
      })
      .map(({ name }) => `${shortName(name)} is connected and has no stream for our batches: look at its log`)
  }
}
