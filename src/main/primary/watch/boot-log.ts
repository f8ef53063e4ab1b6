/**
 * The lines with which a primary says at boot what it is. Those of the parameters and the last are the reference's, whose
 * scripts read them (primary/src/primary.rs, config/src/lib.rs).
 */
import { formatTcpAddress } from '../../../shared/config/address.js'
import type { Committee } from '../../../shared/config/committee.js'
import type { Parameters } from '../../../shared/config/parameters.js'
import { shortName } from '../../../shared/config/short-name.js'
import { PROTOCOL_VERSION } from '../../../shared/constants.js'
import { NODE_VERSION } from '../../lib/version.js'

export interface PrimaryBootLogOptions {
  readonly committee: Committee
  readonly ownIndex: number
  readonly parameters: Parameters
  /** The rule of consensus, which all primaries share. */
  readonly rule: string
  /** Directory of the store. */
  readonly store: string
  readonly peerId: string
  /** The address that it listens on. */
  readonly bind: string
  readonly port: number
}

export function primaryBootLines(options: PrimaryBootLogOptions): readonly string[] {
  const { bind, committee, ownIndex, parameters, peerId, port, rule, store } = options
  const { name } = committee.authority(ownIndex)
  const host = committee.authority(ownIndex).primary.primaryToPrimary?.host ?? bind
  return [
    `${NODE_VERSION}, protocol ${PROTOCOL_VERSION}, Node ${process.versions.node}, primary of authority ${name}, peer id ${peerId}`,
    `Orders by the rule ${rule} in a committee of ${committee.size}: a quorum takes stake ${committee.quorumThreshold}; store ${store}`,
    `Header size set to ${parameters.headerBytes} B`,
    `Max header delay set to ${parameters.maxHeaderDelayMs} ms`,
    `Garbage collection depth set to ${parameters.gcDepthRounds} rounds`,
    `Sync retry delay set to ${parameters.syncRetryDelayMs} ms`,
    `Sync retry nodes set to ${parameters.syncRetryNodes} nodes`,
    `Batch size set to ${parameters.batchBytesMax} B`,
    `Max batch delay set to ${parameters.maxBatchDelayMs} ms`,
    `Listening for primaries on ${formatTcpAddress({ host: bind, port })}`,
    `Primary ${shortName(name)} successfully booted on ${host}`,
  ]
}
