/**
 * The committee: who has how much stake, and where each authority's primary and workers listen. The file is the
 * reference's (asonnino/narwhal config/src/lib.rs `Committee`); narval adds a worker's optional `peer_id`, and takes a
 * multiaddr for `worker_to_worker`. Any address may be missing: peer discovery finds others, and of our own those are
 * demanded that are used.
 */
import assert from 'node:assert'
import { z } from 'zod'
import { pathArgument, textArgument } from '../arguments.js'
import { COMMITTEE_SIZE_MAX, WORKER_ID_MAX } from '../constants.js'
import { decodePublicKey, encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import { digestOfMembers } from '../wire/committee-digest.js'
import * as address from './address.js'
import { readJsonFile } from './config-file.js'
import { STAKE_MAX, WORKERS_PER_AUTHORITY_MAX } from './limits.js'
import { quorumOf } from './quorum.js'
import { check, integer, refuse, show, text } from './schema.js'

export interface PrimaryAddresses {
  readonly primaryToPrimary: address.TcpAddress
  readonly workerToPrimary: address.TcpAddress
}

export interface WorkerAddresses {
  readonly primaryToWorker: address.TcpAddress
  readonly transactions: address.TcpAddress
  readonly workerToWorker: address.Libp2pAddress
}

/** What the file says of a worker: any address may be missing. */
export interface KnownWorker extends Partial<WorkerAddresses> {
  /** The PeerId that the worker must have, if the file names one. */
  readonly peerId?: string
}

export interface Authority {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The public key in base64, as files and logs name it. */
  readonly name: string
  readonly stake: number
  /** Those that the file has. */
  readonly primary: Partial<PrimaryAddresses>
  /** By worker id, ascending. */
  readonly workers: ReadonlyMap<number, KnownWorker>
}

/** An authority's index is its place in the order of the raw public keys: the reference's order in memory. */
export class Committee {
  readonly authorities: readonly Authority[]
  readonly totalStake: number
  /** The least stake of a quorum. */
  readonly quorumThreshold: number
  private readonly indices: ReadonlyMap<string, number>

  constructor(authorities: readonly Authority[]) {
    this.authorities = [...authorities].sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
    this.totalStake = authorities.reduce((sum, authority) => sum + authority.stake, 0)
    this.quorumThreshold = quorumOf(this.totalStake)
    this.indices = new Map(this.authorities.map((authority, index) => [authority.name, index]))
  }

  get size(): number {
    return this.authorities.length
  }

  /** The index of an authority, -1 if the committee has none with this key. */
  indexOf(publicKey: Uint8Array): number {
    return this.indices.get(encodeBase64(publicKey)) ?? -1
  }

  /** The index of the authority that has these keys. Errors: `ERR_NOT_IN_COMMITTEE`. */
  ownIndexOf({ name, publicKey }: { readonly name: string; readonly publicKey: Uint8Array }): number {
    const index = this.indexOf(publicKey)
    if (index !== -1) return index
    throw new NarvalError(
      'ERR_NOT_IN_COMMITTEE',
      `the key ${name} is none of the committee's ${this.size} authorities: check the key file and the committee file`,
    )
  }

  authority(index: number): Authority {
    const authority = this.authorities[index]
    assert(authority !== undefined, `authority ${index} of ${this.size}`)
    return authority
  }

  stakeOf(index: number): number {
    return this.authority(index).stake
  }

  /** Its addresses. To read one that the file lacks throws `ERR_ADDRESS_MISSING`. */
  primary(index: number): PrimaryAddresses {
    const { name, primary } = this.authority(index)
    return demanded<PrimaryAddresses>(primary, PRIMARY_FIELDS, `authorities.${name}.primary`)
  }

  /**
   * Its addresses. To read one that the file lacks throws `ERR_ADDRESS_MISSING`.
   *
   * Errors: `ERR_NOT_IN_COMMITTEE` if that authority has no such worker.
   */
  worker(index: number, workerId: number): WorkerAddresses {
    const path = `authorities.${this.authority(index).name}.workers.${workerId}`
    return demanded<WorkerAddresses>(this.knownWorker(index, workerId), WORKER_FIELDS, path)
  }

  /** What the file says of a worker. Errors: `ERR_NOT_IN_COMMITTEE` if that authority has no such worker. */
  knownWorker(index: number, workerId: number): KnownWorker {
    const { name, workers } = this.authority(index)
    const known = workers.get(workerId)
    if (known !== undefined) return known
    throw new NarvalError(
      'ERR_NOT_IN_COMMITTEE',
      `authorities.${name}.workers.${workerId} is missing: the committee file has the workers ${[...workers.keys()].join(', ')}`,
    )
  }
}

/** What the file calls them. */
const PRIMARY_FIELDS = { primaryToPrimary: 'primary_to_primary', workerToPrimary: 'worker_to_primary' } as const
const WORKER_FIELDS = {
  primaryToWorker: 'primary_to_worker',
  transactions: 'transactions',
  workerToWorker: 'worker_to_worker',
} as const

/** What is known; to read what is not throws. `path` leads to it in the file. */
function demanded<T extends object>(
  known: Partial<T>,
  fields: Readonly<Record<keyof T & string, string>>,
  path: string,
): T {
  const addresses: Partial<T> = {}
  for (const name of Object.keys(fields) as (keyof T & string)[]) {
    const value = known[name]
    if (value !== undefined) addresses[name] = value
    else Object.defineProperty(addresses, name, { get: () => refuseMissing(`${path}.${fields[name]}`) })
  }
  return addresses as T
}

function refuseMissing(path: string): never {
  throw new NarvalError(
    'ERR_ADDRESS_MISSING',
    `${path} is missing in the committee file, and used: add it to the copy of the file that this node reads (addresses may differ from copy to copy)`,
  )
}

const tcpAddress = text(address.TCP_ADDRESS_FORM, address.parseTcpAddress)
const peerId = text('a peer id in base58, as 12D3KooW…', address.parsePeerId)

const workerSchema = z
  .strictObject({
    primary_to_worker: tcpAddress.optional(),
    transactions: tcpAddress.optional(),
    worker_to_worker: text(address.LIBP2P_ADDRESS_FORM, address.parseLibp2pAddress).optional(),
    peer_id: peerId.optional(),
  })
  .transform((file, context): KnownWorker => {
    const { primary_to_worker: primaryToWorker, transactions, worker_to_worker: workerToWorker, peer_id: named } = file
    if (named !== undefined && workerToWorker?.peerId !== undefined && workerToWorker.peerId !== named) {
      return refuse(context, `${named} is not the peer id in worker_to_worker, ${workerToWorker.peerId}`, ['peer_id'])
    }
    const peerId = named ?? workerToWorker?.peerId
    return {
      ...(primaryToWorker && { primaryToWorker }),
      ...(transactions && { transactions }),
      ...(workerToWorker && { workerToWorker: peerId === undefined ? workerToWorker : { ...workerToWorker, peerId } }),
      ...(peerId !== undefined && { peerId }),
    }
  })

const authoritySchema = z.strictObject({
  stake: integer(1, STAKE_MAX),
  primary: z
    .strictObject({ primary_to_primary: tcpAddress.optional(), worker_to_primary: tcpAddress.optional() })
    .transform(
      ({ primary_to_primary: primaryToPrimary, worker_to_primary: workerToPrimary }): Partial<PrimaryAddresses> => ({
        ...(primaryToPrimary && { primaryToPrimary }),
        ...(workerToPrimary && { workerToPrimary }),
      }),
    ),
  workers: z.record(z.string(), workerSchema).transform((file, context) => {
    const ids = Object.keys(file)
    if (ids.length === 0) return refuse(context, 'expected at least one worker, found none')
    if (ids.length > WORKERS_PER_AUTHORITY_MAX) {
      return refuse(context, `${ids.length} workers, at most ${WORKERS_PER_AUTHORITY_MAX}`)
    }
    const wrong = ids.find((id) => !/^(?:0|[1-9]\d{0,9})$/.test(id) || Number(id) > WORKER_ID_MAX)
    if (wrong !== undefined) return refuse(context, `expected a worker id from 0 to ${WORKER_ID_MAX}`, [wrong])
    return new Map(ids.sort((a, b) => Number(a) - Number(b)).map((id) => [Number(id), file[id] as KnownWorker]))
  }),
})

const schema = z
  .strictObject({ authorities: z.record(z.string(), authoritySchema) })
  .transform(({ authorities }, context): Committee => {
    const names = Object.keys(authorities)
    if (names.length === 0) return refuse(context, 'expected at least one authority, found none', ['authorities'])
    if (names.length > COMMITTEE_SIZE_MAX) {
      return refuse(context, `${names.length} authorities, at most ${COMMITTEE_SIZE_MAX}`, ['authorities'])
    }
    const members: Authority[] = []
    for (const name of names) {
      const publicKey = decodePublicKey(name)
      if (publicKey === undefined) {
        return refuse(context, 'expected a public key, 44 characters of base64 for 32 bytes', ['authorities', name])
      }
      members.push({ publicKey, name, ...(authorities[name] as z.output<typeof authoritySchema>) })
    }
    refuseDuplicates(members, context)
    return new Committee(members)
  })

/**
 * The committee that `json`, the content of a file, describes; `where` begins the messages of errors. Errors:
 * `ERR_COMMITTEE_MALFORMED`.
 */
export function parseCommittee(json: unknown, where = 'committee'): Committee {
  return check(schema, json, 'ERR_COMMITTEE_MALFORMED', textArgument('where', where))
}

/** Errors: `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_MALFORMED`, `ERR_COMMITTEE_MALFORMED`. */
export function readCommittee(path: string): Committee {
  pathArgument('path', path)
  const remedy = 'make it with an entry for each authority, as README.md shows'
  return parseCommittee(readJsonFile(path, 'committee file', remedy), `committee file ${path}`)
}

/** What workers must agree on before they speak (`wire/committee-digest.ts`). */
export function committeeDigest({ authorities }: Committee): Uint8Array {
  return digestOfMembers(
    authorities.map(({ publicKey, stake, workers }) => ({ publicKey, stake, workers: [...workers.keys()] })),
  )
}

/** Two listeners on one address, or two workers with one peer id, are a slip that would show much later. */
function refuseDuplicates(members: readonly Authority[], context: z.RefinementCtx): void {
  const pathOf = new Map<string, string>()
  const claim = (value: string, path: string[]): void => {
    const other = pathOf.get(value)
    if (other !== undefined) refuse(context, `${show(value)} is also ${other}`, path)
    pathOf.set(value, path.join('.'))
  }
  const claimAddress = (claimed: address.TcpAddress | undefined, path: string[]): void => {
    if (claimed !== undefined) claim(address.formatTcpAddress(claimed), path)
  }
  for (const { name, primary, workers } of members) {
    const path = ['authorities', name]
    claimAddress(primary.primaryToPrimary, [...path, 'primary', 'primary_to_primary'])
    claimAddress(primary.workerToPrimary, [...path, 'primary', 'worker_to_primary'])
    for (const [id, worker] of workers) {
      const workerPath = [...path, 'workers', String(id)]
      claimAddress(worker.primaryToWorker, [...workerPath, 'primary_to_worker'])
      claimAddress(worker.transactions, [...workerPath, 'transactions'])
      claimAddress(worker.workerToWorker, [...workerPath, 'worker_to_worker'])
      if (worker.peerId !== undefined) claim(worker.peerId, [...workerPath, 'peer_id'])
    }
  }
}
