/**
 * The parameters of a node: the reference's seven (asonnino/narwhal config/src/lib.rs `Parameters`), and narval's own. In
 * a file and in a program alike, those that are not given have their defaults.
 */
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { pathArgument, textArgument } from '../arguments.js'
import { BATCH_SIZE_MAX, COMMITTEE_SIZE_MAX, REFERENCE_FRAME_BYTES_MAX, RESEND_SLOTS } from '../constants.js'
import { NarvalError } from '../errors.js'
import { storedBytes } from '../store/stored-bytes.js'
import { HEADER_PAYLOAD_MAX } from '../wire/primary/limits.js'
import { formatJson, readJsonFile } from './config-file.js'
import * as limits from './limits.js'
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
  /**
   * `retention_commits`: commits after which a batch is deleted, under a narval primary; 0 for `retention_rounds` times the
   * size of the committee.
   */
  readonly retentionCommits: number
  /** `retention_bytes`: what ordered batches take at most, under a narval primary; 0 for what all others leave. */
  readonly retentionBytes: number
  /** `store_bytes_max` */
  readonly storeBytesMax: number
  /** `client_connections_max` */
  readonly clientConnectionsMax: number
  /** `client_idle_timeout`: how long half a frame may wait for its rest. */
  readonly clientIdleTimeoutMs: number
  /** `network_key`: path of a network key file; without it the key is derived. */
  readonly networkKeyPath?: string
}

interface Field {
  /** Its key in a file. */
  readonly key: string
  readonly type: z.ZodType
}

const delay = integer(1, limits.DELAY_MS_MAX)

/** Each parameter's key in a file, its limits and its default: the reference's seven first, in its order and with its values. */
const FIELDS = {
  headerBytes: { key: 'header_size', type: integer(1, REFERENCE_FRAME_BYTES_MAX).default(1000) },
  maxHeaderDelayMs: { key: 'max_header_delay', type: delay.default(100) },
  gcDepthRounds: { key: 'gc_depth', type: integer(1, limits.ROUNDS_MAX).default(50) },
  syncRetryDelayMs: { key: 'sync_retry_delay', type: delay.default(5000) },
  syncRetryNodes: { key: 'sync_retry_nodes', type: integer(1, COMMITTEE_SIZE_MAX).default(3) },
  batchBytesMax: { key: 'batch_size', type: integer(limits.BATCH_SIZE_MIN, BATCH_SIZE_MAX).default(500_000) },
  maxBatchDelayMs: { key: 'max_batch_delay', type: delay.default(100) },
  ackLevel: { key: 'ack_level', type: choice(['durable', 'stored']).default('durable') },
  ackTimeoutMs: { key: 'ack_timeout', type: delay.default(30_000) },
  ownSlots: { key: 'own_slots', type: integer(limits.OWN_SLOTS_MIN, limits.OWN_SLOTS_MAX).default(32) },
  inboundSlotsPerPeer: {
    key: 'inbound_slots',
    type: integer(limits.INBOUND_SLOTS_MIN, limits.INBOUND_SLOTS_MAX).default(8),
  },
  retentionRounds: { key: 'retention_rounds', type: integer(0, limits.ROUNDS_MAX).default(0) },
  retentionCommits: { key: 'retention_commits', type: integer(0, Number.MAX_SAFE_INTEGER).default(0) },
  retentionBytes: { key: 'retention_bytes', type: integer(0, Number.MAX_SAFE_INTEGER).default(0) },
  storeBytesMax: {
    key: 'store_bytes_max',
    type: integer(limits.STORE_BYTES_MIN, Number.MAX_SAFE_INTEGER).default(64 * 1024 ** 3),
  },
  clientConnectionsMax: {
    key: 'client_connections_max',
    type: integer(1, limits.CLIENT_CONNECTIONS_MAX).default(1024),
  },
  clientIdleTimeoutMs: { key: 'client_idle_timeout', type: delay.default(30_000) },
  networkKeyPath: {
    key: 'network_key',
    type: text('the path of a file', (path) => (path === '' ? undefined : path)).optional(),
  },
} as const satisfies Record<keyof Parameters, Field>

/** The keys that a file always has: the reference's scripts read them. */
const REFERENCE_KEYS = [
  'header_size',
  'max_header_delay',
  'gc_depth',
  'sync_retry_delay',
  'sync_retry_nodes',
  'batch_size',
  'max_batch_delay',
]

type FieldName = keyof Parameters
const NAMES = Object.keys(FIELDS) as FieldName[]
/** How a parameter is called where it was given: by its key in a file, by its field's name in a program. */
type Naming = (name: FieldName) => string
const inFile: Naming = (name) => FIELDS[name].key
const inProgram: Naming = (name) => name

const fileSchema = schemaOf(inFile)
const programSchema = schemaOf(inProgram)

export function defaultParameters(): Parameters {
  return checkParameters({}, 'the defaults')
}

/**
 * The parameters that `json`, the content of a file, names. Those that are missing have their defaults. Errors:
 * `ERR_PARAMETERS_MALFORMED`.
 */
export function parseParameters(json: unknown, where = 'parameters'): Parameters {
  return parse(fileSchema, inFile, json, textArgument('where', where))
}

/**
 * The same for parameters that a program has put together, by the names of their fields. Errors:
 * `ERR_PARAMETERS_MALFORMED`.
 */
export function checkParameters(parameters: Partial<Parameters>, where: string): Parameters {
  return parse(programSchema, inProgram, parameters, where)
}

function schemaOf(nameOf: Naming): z.ZodType<Record<string, unknown>> {
  return z.strictObject(Object.fromEntries(NAMES.map((name) => [nameOf(name), FIELDS[name].type])))
}

function parse(schema: z.ZodType<Record<string, unknown>>, nameOf: Naming, given: unknown, where: string): Parameters {
  const checked = check(schema, given, 'ERR_PARAMETERS_MALFORMED', where)
  const values = NAMES.map((name) => [name, checked[nameOf(name)]]).filter(([, value]) => value !== undefined)
  const parameters = Object.fromEntries(values) as Parameters
  checkRelations(parameters, nameOf, where)
  return parameters
}

function checkRelations(parameters: Parameters, nameOf: Naming, where: string): void {
  const { retentionRounds, gcDepthRounds, storeBytesMax, ownSlots, batchBytesMax } = parameters
  const refuse = (name: FieldName, problem: string): never => {
    throw new NarvalError('ERR_PARAMETERS_MALFORMED', `${where}: ${nameOf(name)}: ${problem}`)
  }
  if (retentionRounds !== 0 && retentionRounds < 2 * gcDepthRounds) {
    refuse(
      'retentionRounds',
      `expected 0, or at least ${2 * gcDepthRounds}, twice ${nameOf('gcDepthRounds')}; found ${retentionRounds}`,
    )
  }
  // Below it the room kept for own batches that are under way is all there is, and the store is full from the start.
  const storeBytesMin = 2 * (ownSlots + RESEND_SLOTS) * batchBytesMax
  if (storeBytesMax < storeBytesMin) {
    refuse(
      'storeBytesMax',
      `expected at least ${storeBytesMin}, twice what ${nameOf('ownSlots')} batches take; found ${storeBytesMax}`,
    )
  }
}

/**
 * How many commits a batch is kept after its own, under a narval primary; 0 for as many as there is room for. A round has a
 * commit of each authority.
 */
export function commitsKept({ retentionCommits, retentionRounds }: Parameters, authorities: number): number {
  return retentionCommits === 0 ? retentionRounds * authorities : retentionCommits
}

/** What batches take at most, as they are stored, that headers of `gc_depth` rounds list: further ones list nothing. */
export function namedBytesMax({ batchBytesMax, gcDepthRounds }: Parameters, authorities: number): number {
  return gcDepthRounds * authorities * HEADER_PAYLOAD_MAX * storedBytes(batchBytesMax)
}

/**
 * Reads a parameter file; a relative `network_key` in it starts at the file's directory.
 *
 * Errors: `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_MALFORMED`, `ERR_PARAMETERS_MALFORMED`.
 */
export function readParameters(path: string): Parameters {
  pathArgument('path', path)
  const remedy = `make it, with those of the keys that are not to have their defaults: ${NAMES.map(inFile).join(', ')}; or leave out --parameters`
  const parameters = parseParameters(readJsonFile(path, 'parameter file', remedy), `parameter file ${path}`)
  if (parameters.networkKeyPath === undefined) return parameters
  return { ...parameters, networkKeyPath: resolve(dirname(path), parameters.networkKeyPath) }
}

/** A parameter file: the reference's seven keys, and those of narval's that differ from their defaults. */
export function formatParameters(parameters: Parameters): string {
  const defaults = defaultParameters()
  const shown = NAMES.filter((name) => REFERENCE_KEYS.includes(inFile(name)) || parameters[name] !== defaults[name])
  return formatJson(Object.fromEntries(shown.map((name) => [inFile(name), parameters[name]])))
}
