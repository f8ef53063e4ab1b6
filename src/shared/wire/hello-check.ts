/** Whether to believe a hello: the decision of docs/protocol.md, as a pure function. */
import type { Committee } from '../config/committee.js'
import { HELLO_AHEAD_MS_MAX } from '../constants.js'
import { encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import {
  type DecodedHello,
  decodeHello,
  type HelloRecord,
  helloProtocolVersion,
  type PeerRole,
  verifyHello,
} from './hello.js'

export type HelloRefusal =
  /** Not a hello. */
  | 'malformed'
  /** Signed by another key than it names, or changed since. */
  | 'bad-signature'
  | 'not-in-committee'
  /** Our own authority: we dialled ourselves, or somebody has our keys. */
  | 'self'
  | 'wrong-worker-id'
  /** Another committee file: other keys, stakes or worker ids. */
  | 'wrong-committee'
  /** Not the PeerId of the connection it came on: taken from another's. */
  | 'wrong-peer-id'
  /** Not the PeerId that the committee file names. */
  | 'peer-id-not-as-named'
  /** Another PeerId of this worker is known, with a record at least as new. */
  | 'stale'
  /** Dated further ahead of our clock than HELLO_AHEAD_MS_MAX. */
  | 'time-ahead'
  /** Its `batch_size` is not ours: one of us would refuse the other's batches. */
  | 'wrong-batch-size'
  | 'protocol-version'

export interface HelloExpectations {
  readonly committee: Committee
  readonly committeeDigest: Uint8Array
  /** Workers speak to those with their own id, and primaries to primaries. */
  readonly workerId: PeerRole
  /** The PeerId that the noise handshake proved. */
  readonly connectionPeerId: string
  /** Our own public key. */
  readonly ownAuthority: Uint8Array
  readonly protocolVersion: number
  /** Our `batch_size`. */
  readonly batchBytesMax: number
  /** Our clock, in unix ms. */
  readonly nowMs: number
  /** The PeerId that the committee file names for this authority's worker, if it does. */
  readonly namedPeerId: (index: number) => string | undefined
  /** The PeerId we hold this authority's worker to have, and the time of the record that said so. */
  readonly lastSeenTimeMs: (index: number) => { readonly peerId: string; readonly timeMs: number } | undefined
}

export interface HelloRefused {
  readonly ok: false
  readonly reason: HelloRefusal
  readonly detail: string
  /** Whose hello it is, if that is certain: its signature holds, and it came on a connection of the PeerId it names. */
  readonly index?: number
}

export type HelloVerdict = { readonly ok: true; readonly index: number; readonly record: HelloRecord } | HelloRefused

export function checkHello(bytes: Uint8Array, expectations: HelloExpectations): HelloVerdict {
  const { committee, protocolVersion } = expectations
  let hello: DecodedHello
  try {
    hello = decodeHello(bytes)
  } catch (error) {
    if (!(error instanceof NarvalError)) throw error
    const theirs = helloProtocolVersion(bytes)
    if (theirs === undefined || theirs === protocolVersion) return refuse('malformed', error.message)
    return refuse('protocol-version', versions(theirs, protocolVersion))
  }
  const { record } = hello
  const name = encodeBase64(record.authority)
  const index = committee.indexOf(record.authority)
  if (index === -1) return refuse('not-in-committee', `${name} is none of the ${committee.size} authorities`)
  if (!verifyHello(hello)) return refuse('bad-signature', `not signed by ${name}`)
  const refusal = checkRecord(record, index, expectations)
  if (refusal === undefined) return { ok: true, index, record }
  return record.peerId === expectations.connectionPeerId ? { ...refusal, index } : refusal
}

/** The checks of a record whose signature holds; `undefined` if it passes them all. */
function checkRecord(record: HelloRecord, index: number, expectations: HelloExpectations): HelloRefused | undefined {
  const { peerId } = record
  if (record.protocolVersion !== expectations.protocolVersion) {
    return refuse('protocol-version', versions(record.protocolVersion, expectations.protocolVersion))
  }
  if (Buffer.compare(record.authority, expectations.ownAuthority) === 0) {
    return refuse('self', `${peerId} speaks for our own authority`)
  }
  if (Buffer.compare(record.committeeDigest, expectations.committeeDigest) !== 0) {
    const [theirs, ours] = [record.committeeDigest, expectations.committeeDigest].map(encodeBase64)
    return refuse(
      'wrong-committee',
      `theirs is ${theirs}, ours ${ours}: compare the committee files${record.workerId === 'primary' ? ', the rule and gc_depth' : ''}`,
    )
  }
  if (record.workerId !== expectations.workerId) {
    return refuse('wrong-worker-id', `theirs is ${record.workerId}, ours ${expectations.workerId}`)
  }
  if (peerId !== expectations.connectionPeerId) {
    return refuse('wrong-peer-id', `the record says ${peerId}, the connection is of ${expectations.connectionPeerId}`)
  }
  const named = expectations.namedPeerId(index)
  if (named !== undefined && named !== peerId) {
    return refuse('peer-id-not-as-named', `${peerId}, the committee file names ${named}`)
  }
  const aheadMs = record.timeMs - expectations.nowMs
  if (aheadMs > HELLO_AHEAD_MS_MAX) {
    const clocks = `theirs says ${record.timeMs} ms, ours ${expectations.nowMs} ms`
    return refuse('time-ahead', `${clocks}, at most ${HELLO_AHEAD_MS_MAX} ms apart: set the clock that is wrong`)
  }
  const last = expectations.lastSeenTimeMs(index)
  if (last !== undefined && last.peerId !== peerId && last.timeMs >= record.timeMs) {
    return refuse('stale', `${peerId} at ${record.timeMs} ms, ${last.peerId} is known since ${last.timeMs} ms`)
  }
  if (record.batchBytesMax !== expectations.batchBytesMax) {
    const values = `theirs is ${record.batchBytesMax} bytes, ours ${expectations.batchBytesMax}`
    return refuse('wrong-batch-size', `${values}: give all workers the same batch_size`)
  }
  return undefined
}

function refuse(reason: HelloRefusal, detail: string): HelloRefused {
  return { ok: false, reason, detail }
}

function versions(theirs: number, ours: number): string {
  return `they speak version ${theirs}, we speak ${ours}`
}
