/**
 * The parameters of a node. The reference's seven (asonnino/narwhal config/src/lib.rs `Parameters`) are all required in
 * a file; narval's own keys beside them are optional. Without a file all have their defaults.
 */
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import * as limits from '../constants.js'
import { NarvalError } from '../errors.js'
import { formatJson, readJsonFile } from './config-file.js'
import { check, choice, integer, text } from './schema.js'

/** What an ACK promises: committed (`stored`), or committed and on disk (`durable`). */
export type AckLevel = 'stored' | 'durable'

export interface Parameters {
  /** `header_size`: bytes of digests, 32 each, at which the primary proposes a header. */
  readonly headerBytes: number
  /** `max_header_delay` */
  readonly maxHeaderDelayMs: number
  /** `gc_depth`: rounds behind the last Cleanup after which nothing is waited for. */
  readonly gcDepthRounds: number
  /** `sync_retry_delay`: how long a batch request may go unanswered before others are asked. */
  readonly syncRetryDelayMs: number
  /** `sync_retry_nodes`: how many others are asked then. */
  readonly syncRetryNodes: number
  /** `batch_size`: bytes of an encoded batch, at most. */
  readonly batchBytesMax: number
  /** `max_batch_delay`: from a batch's first transaction to its seal, at most. */
  readonly maxBatchDelayMs: number
  /** `ack_level` */
  readonly ackLevel: AckLevel
  /** `ack_timeout`: without ACK progress for so long a peer's connection is closed and dialled again. */
  readonly ackTimeoutMs: number
  /** `own_slots`: slots for our own batches. */
  readonly ownSlots: number
  /** `inbound_slots`: slots for the batches of each peer. */
  readonly inboundSlotsPerPeer: number
  /** `retention_rounds`: rounds behind the last Cleanup after which batches are deleted; 0 keeps them. */
  readonly retentionRounds: number
  /** `store_bytes_max` */
  readonly storeBytesMax: number
  /** `client_connections_max` */
  readonly clientConnectionsMax: number
  /** `client_idle_timeout`: how long half a frame may wait for its rest. */
  readonly clientIdleTimeoutMs: number
  /** `network_key`: path of a network key file; without it the key is derived. */
  readonly networkKeyPath?: string
}

const delay = integer(1, limits.DELAY_MS_MAX)

/** The file's keys, in the reference's order, then narval's. */
const schema = z
  .strictObject({
    header_size: integer(1, limits.REFERENCE_FRAME_BYTES_MAX),
    max_header_delay: delay,
    gc_depth: integer(1, limits.ROUNDS_MAX),
    sync_retry_delay: delay,
    sync_retry_nodes: integer(1, limits.COMMITTEE_SIZE_MAX),
    batch_size: integer(limits.BATCH_SIZE_MIN, limits.BATCH_SIZE_MAX),
    max_batch_delay: delay,
    ack_level: choice(['durable', 'stored']).default('durable'),
    ack_timeout: delay.default(30_000),
    own_slots: integer(limits.OWN_SLOTS_MIN, limits.OWN_SLOTS_MAX).default(32),
    inbound_slots: integer(limits.INBOUND_SLOTS_MIN, limits.INBOUND_SLOTS_MAX).default(8),
    retention_rounds: integer(0, limits.ROUNDS_MAX).default(0),
    store_bytes_max: integer(limits.STORE_BYTES_MIN, Number.MAX_SAFE_INTEGER).default(64 * 1024 ** 3),
    client_connections_max: integer(1, limits.CLIENT_CONNECTIONS_MAX).default(1024),
    client_idle_timeout: delay.default(30_000),
    network_key: text('the path of a file', (path) => (path === '' ? undefined : path)).optional(),
  })
  .transform((file): Parameters => {
    const { network_key: networkKeyPath } = file
    return {
      headerBytes: file.header_size,
      maxHeaderDelayMs: file.max_header_delay,
      gcDepthRounds: file.gc_depth,
      syncRetryDelayMs: file.sync_retry_delay,
      syncRetryNodes: file.sync_retry_nodes,
      batchBytesMax: file.batch_size,
      maxBatchDelayMs: file.max_batch_delay,
      ackLevel: file.ack_level,
      ackTimeoutMs: file.ack_timeout,
      ownSlots: file.own_slots,
      inboundSlotsPerPeer: file.inbound_slots,
      retentionRounds: file.retention_rounds,
      storeBytesMax: file.store_bytes_max,
      clientConnectionsMax: file.client_connections_max,
      clientIdleTimeoutMs: file.client_idle_timeout,
      ...(networkKeyPath === undefined ? {} : { networkKeyPath }),
    }
  })

/** The reference's code defaults. */
const REFERENCE_DEFAULTS = {
  header_size: 1000,
  max_header_delay: 100,
  gc_depth: 50,
  sync_retry_delay: 5000,
  sync_retry_nodes: 3,
  batch_size: 500_000,
  max_batch_delay: 100,
} as const

export function defaultParameters(): Parameters {
  return parseParameters(REFERENCE_DEFAULTS, 'the defaults')
}

/** The parameters that `json`, the content of a file, names. Errors: `ERR_PARAMETERS_MALFORMED`. */
export function parseParameters(json: unknown, where: string): Parameters {
  return checkParameters(check(schema, json, 'ERR_PARAMETERS_MALFORMED', where), where)
}

/**
 * The relations between parameters, for those that changed after they were parsed. Returns `parameters`.
 *
 * Errors: `ERR_PARAMETERS_MALFORMED`.
 */
export function checkParameters(parameters: Parameters, where: string): Parameters {
  const { retentionRounds, gcDepthRounds, storeBytesMax, ownSlots, batchBytesMax } = parameters
  const refuse = (text: string): never => {
    throw new NarvalError('ERR_PARAMETERS_MALFORMED', `${where}: ${text}`)
  }
  if (retentionRounds !== 0 && retentionRounds < 2 * gcDepthRounds) {
    refuse(`retention_rounds: expected 0, or at least ${2 * gcDepthRounds}, twice gc_depth; found ${retentionRounds}`)
  }
  // Below it the room kept for own batches that are under way is all there is, and the store is full from the start.
  const storeBytesMin = 2 * (ownSlots + limits.RESEND_SLOTS) * batchBytesMax
  if (storeBytesMax < storeBytesMin) {
    refuse(
      `store_bytes_max: expected at least ${storeBytesMin}, twice what own_slots batches take; found ${storeBytesMax}`,
    )
  }
  return parameters
}

/**
 * Reads a parameter file; a relative `network_key` in it starts at the file's directory.
 *
 * Errors: `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_MALFORMED`, `ERR_PARAMETERS_MALFORMED`.
 */
export function readParameters(path: string): Parameters {
  const remedy = `make it with the seven keys ${Object.keys(REFERENCE_DEFAULTS).join(', ')}, or leave out --parameters`
  const parameters = parseParameters(readJsonFile(path, 'parameter file', remedy), `parameter file ${path}`)
  if (parameters.networkKeyPath === undefined) return parameters
  return { ...parameters, networkKeyPath: resolve(dirname(path), parameters.networkKeyPath) }
}

/** A parameter file: the reference's seven keys, and those of narval's that differ from their defaults. */
export function formatParameters(parameters: Parameters): string {
  const file = fileOf(parameters)
  const defaults = fileOf(defaultParameters())
  const own = Object.entries(file).filter(
    ([key, value]) => key in REFERENCE_DEFAULTS || value !== defaults[key as keyof typeof defaults],
  )
  return formatJson(Object.fromEntries(own))
}

function fileOf(parameters: Parameters): z.input<typeof schema> {
  return {
    header_size: parameters.headerBytes,
    max_header_delay: parameters.maxHeaderDelayMs,
    gc_depth: parameters.gcDepthRounds,
    sync_retry_delay: parameters.syncRetryDelayMs,
    sync_retry_nodes: parameters.syncRetryNodes,
    batch_size: parameters.batchBytesMax,
    max_batch_delay: parameters.maxBatchDelayMs,
    ack_level: parameters.ackLevel,
    ack_timeout: parameters.ackTimeoutMs,
    own_slots: parameters.ownSlots,
    inbound_slots: parameters.inboundSlotsPerPeer,
    retention_rounds: parameters.retentionRounds,
    store_bytes_max: parameters.storeBytesMax,
    client_connections_max: parameters.clientConnectionsMax,
    client_idle_timeout: parameters.clientIdleTimeoutMs,
    network_key: parameters.networkKeyPath,
  }
}
