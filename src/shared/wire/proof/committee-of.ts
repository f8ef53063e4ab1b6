/**
 * A committee of its file, for who verifies without Node. It reads what proofs depend on, keys, stakes and the ids of workers,
 * and passes over addresses; a node reads all of it (`config/committee.ts`).
 */
import { objectArgument } from '../../arguments.js'
import { STAKE_MAX, WORKERS_PER_AUTHORITY_MAX } from '../../config/limits.js'
import { COMMITTEE_SIZE_MAX, PUBLIC_KEY_BYTES, WORKER_ID_MAX } from '../../constants.js'
import { pureVerifier } from '../../crypto/ed25519-pure.js'
import { NarvalError } from '../../errors.js'
import { fromBase64 } from '../base64.js'
import { type DigestedMember, digestOfMembers } from '../committee-digest.js'
import { compareBytes } from '../primary/record.js'
import type { ProofCommittee } from './verify-receipt.js'

/**
 * @param json what `JSON.parse` gives of the committee file, or `{ authorities }` as a gateway's `/v1/committee` gives it.
 * Whoever is asked for proofs must not be who is asked for the committee: it is what proofs are measured by.
 * @throws NarvalError ERR_COMMITTEE_MALFORMED
 */
export function committeeOf(json: unknown): ProofCommittee {
  const members = membersOf(json)
  const verifiers = members.map(({ publicKey }) => pureVerifier(publicKey))
  return {
    digest: digestOfMembers(members),
    publicKeys: members.map(({ publicKey }) => publicKey),
    stakes: members.map(({ stake }) => stake),
    verify: (authority, message, signature) => verifiers[authority]?.(message, signature) ?? false,
  }
}

/** By raw key: the order of indices. */
function membersOf(json: unknown): DigestedMember[] {
  const authorities = record('committee.authorities', record('the committee', json).authorities)
  const names = Object.keys(authorities)
  if (names.length === 0 || names.length > COMMITTEE_SIZE_MAX) {
    throw malformed(`committee.authorities: ${names.length}, expected 1 to ${COMMITTEE_SIZE_MAX}`)
  }
  return names.map((name) => memberOf(name, authorities[name])).sort((a, b) => compareBytes(a.publicKey, b.publicKey))
}

function memberOf(name: string, value: unknown): DigestedMember {
  const path = `committee.authorities.${name}`
  const publicKey = fromBase64(name)
  if (publicKey?.length !== PUBLIC_KEY_BYTES) throw malformed(`${path}: no public key in base64`)
  const { stake, workers } = record(path, value)
  if (!isWhole(stake, 1, STAKE_MAX)) throw malformed(`${path}.stake: expected an integer from 1 to ${STAKE_MAX}`)
  const ids = Object.keys(record(`${path}.workers`, workers))
  if (ids.length === 0 || ids.length > WORKERS_PER_AUTHORITY_MAX) throw malformed(`${path}.workers: ${ids.length}`)
  if (ids.some((id) => !/^(?:0|[1-9]\d{0,9})$/.test(id) || Number(id) > WORKER_ID_MAX)) {
    throw malformed(`${path}.workers: expected ids from 0 to ${WORKER_ID_MAX}`)
  }
  return { publicKey, stake, workers: ids.map(Number).sort((a, b) => a - b) }
}

function record(path: string, value: unknown): Record<string, unknown> {
  try {
    return objectArgument(path, value)
  } catch (error) {
    throw malformed((error as Error).message)
  }
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

function malformed(problem: string): NarvalError {
  return new NarvalError('ERR_COMMITTEE_MALFORMED', problem)
}
