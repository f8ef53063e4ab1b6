/** What a restart reads: everything that the primary was promised that it would find. */
import { WORKER_ID_MAX } from '../../../shared/constants.js'
import {
  damaged,
  decodeNumbers,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
} from '../../../shared/store/primary/format.js'
import type { BatchEntry } from '../../../shared/wire/primary/header.js'
import type { CommitLog } from '../commit-log/commit-log.js'
import type { CommittedBatchesState } from '../consensus/committed-batches.js'
import type { ConsensusPosition } from '../consensus/consensus-state.js'
import type { Certificates } from './certificates.js'
import type { Signing, StoredState } from './writes.js'

export function readStoredState(
  databases: PrimaryDatabases,
  keys: PrimaryKeys,
  { certificates, log }: { readonly certificates: Certificates; readonly log: CommitLog },
): StoredState {
  const { evidence, own, payload, state, votes } = databases
  const all = { start: keys.least, end: keys.end }
  const consensus = readConsensus(databases, keys)
  const ownHeader = state.getBinary(keys.state('own-header'))
  const signed = state.getBinary(keys.state('checkpoint'))
  const attested = log.checkpoint(0)
  return {
    ...(consensus !== undefined && { consensus }),
    log: log.end(),
    ...(signed !== undefined && { checkpointSigned: new Uint8Array(signed) }),
    ...(attested !== undefined && { checkpointAttested: attested }),
    ...(ownHeader !== undefined && { ownHeader: new Uint8Array(ownHeader.subarray(8)) }),
    certificates: certificates.from(readGcRound(databases, keys), Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER),
    votes: Array.from(votes.getRange(all), ({ value }) => new Uint8Array(value)),
    ownBatches: Array.from(own.getKeys(all), (key): BatchEntry => readKey.batch(key)),
    payload: Array.from(payload.getKeys(all), (key): BatchEntry => readKey.batch(key)),
    ...readPayloadRound(databases, keys),
    workerStores: readWorkerStores(databases, keys),
    evidence: Array.from(evidence.getKeys(all), (key) => readKey.evidence(key)),
    signing: decodeSigning(state.getBinary(keys.state('signing'))),
  }
}

function readWorkerStores(
  { state }: PrimaryDatabases,
  keys: PrimaryKeys,
): { readonly worker: number; readonly storeId: Uint8Array }[] {
  const end = Buffer.concat([keys.workerStore(WORKER_ID_MAX), Buffer.of(0)])
  const range = { start: keys.workerStore(0), end }
  return Array.from(state.getRange(range), ({ key, value }) => ({
    ...readKey.workerStore(key),
    storeId: new Uint8Array(value),
  }))
}

export function readGcRound({ state }: PrimaryDatabases, keys: PrimaryKeys): number {
  const value = state.getBinary(keys.state('gc-round'))
  return value === undefined ? 0 : decodeNumbers('gc-round', value, 1)[0]!
}

function readPayloadRound({ state }: PrimaryDatabases, keys: PrimaryKeys): Pick<StoredState, 'payloadRound'> {
  const value = state.getBinary(keys.state('payload-round'))
  return value === undefined ? {} : { payloadRound: decodeNumbers('payload-round', value, 1)[0]! }
}

/** Without the committed sequences, which a whole state has as well. */
export function encodePosition(position: ConsensusPosition): Buffer {
  const { claims, gcDepth, index, rule, ruleState, stakes, timestamp } = position
  return Buffer.from(JSON.stringify({ rule, gcDepth, stakes, index, timestamp, ruleState, claims }))
}

export function encodeSigning(signing: Signing): Buffer {
  const value = Buffer.alloc(signing.state === 'recovering' ? 1 : 9)
  if (signing.state === 'recovering') return value
  value[0] = 1
  value.writeBigUInt64BE(BigInt(signing.round), 1)
  return value
}

/** What is not there, or cannot be read, allows nothing. */
function decodeSigning(value: Uint8Array | undefined): Signing {
  if (value?.length !== 9 || value[0] !== 1) return { state: 'recovering' }
  return { state: 'above', round: decodeNumbers('signing', value.subarray(1), 1)[0]! }
}

/** Where consensus stands, with the committed sequences that the commits have changed one by one. */
function readConsensus(databases: PrimaryDatabases, keys: PrimaryKeys): unknown {
  const position = databases.state.getBinary(keys.state('position'))
  return position === undefined ? undefined : { ...parse(position), batches: readRuns(databases, keys) }
}

/** The last of the commits that were taken from others, while there is no state of consensus after it. */
export function readFetched({ state }: PrimaryDatabases, keys: PrimaryKeys): number | undefined {
  const value = state.getBinary(keys.state('fetched'))
  return value === undefined ? undefined : decodeNumbers('what was taken from others', value, 1)[0]!
}

/** The committed sequences at the end of the log. */
export function readRuns({ runs }: PrimaryDatabases, keys: PrimaryKeys): CommittedBatchesState {
  const batches: [author: number, worker: number, runs: string[]][] = []
  for (const { key, value } of runs.getRange({ start: keys.least, end: keys.end })) {
    const { author, first, worker } = readKey.run(key)
    const last = lastOf(value)
    const text = first === last ? first.toString(16) : `${first.toString(16)}-${last.toString(16)}`
    const before = batches.at(-1)
    if (before?.[0] === author && before[1] === worker) before[2].push(text)
    else batches.push([author, worker, [text]])
  }
  return batches.map(([author, worker, texts]) => [author, worker, texts.join(' ')] as const)
}

function lastOf(value: Uint8Array): bigint {
  if (value.length !== 8) throw damaged(`a run of ${value.length} bytes`)
  return new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0)
}

function parse(value: Uint8Array): object {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString())
    if (typeof parsed === 'object' && parsed !== null) return parsed
  } catch {
    // Said below.
  }
  throw damaged('where consensus stands cannot be read')
}
