/** What the thread has to say to main: collected, and posted once for all that is said in one go of the event loop. */
import { assert } from '../../shared/assert.js'
import type {
  CommittedBatch,
  CommittedBatches,
  PrimaryNotice,
  PrimaryRefusals,
  PrimarySend,
  PrimaryToMain,
  PrimaryWorkerRequest,
} from '../../shared/memory/dialogue/primary.js'
import type { AuthorityIndex, Commit } from './consensus/types.js'
import { digestBytes } from './records.js'
import type { Refused, Send, WorkerRequest } from './turn.js'

interface Taken {
  readonly from: AuthorityIndex
  messages: number
  bytes: number
}

export class Outbox {
  private readonly post: (message: PrimaryToMain) => void
  private sends: PrimarySend[] = []
  private requests: PrimaryWorkerRequest[] = []
  private batchesStored = 0
  private taken = new Map<AuthorityIndex, Taken>()
  private refusals = new Map<string, PrimaryRefusals>()
  private notices: PrimaryNotice[] = []
  private isScheduled = false

  constructor(post: (message: PrimaryToMain) => void) {
    this.post = post
  }

  send(sends: readonly Send[]): void {
    for (const { to, bytes } of sends) this.sends.push({ to, bytes: ownMemory(bytes) })
    if (sends.length > 0) this.schedule()
  }

  request(requests: readonly WorkerRequest[]): void {
    for (const request of requests) this.requests.push(toMain(request))
    if (requests.length > 0) this.schedule()
  }

  batchStored(): void {
    this.batchesStored += 1
    this.schedule()
  }

  /** A message of a peer was handled: its credit goes back. */
  took(from: AuthorityIndex, bytes: number): void {
    const taken = this.taken.get(from) ?? { from, messages: 0, bytes: 0 }
    taken.messages += 1
    taken.bytes += bytes
    this.taken.set(from, taken)
    this.schedule()
  }

  /** Of each kind and peer there is one entry in a post, whatever a peer sends. */
  refuse(refusals: readonly Refused[]): void {
    for (const { detail, from, reason } of refusals) {
      const key = `${from} ${reason}`
      const known = this.refusals.get(key)
      this.refusals.set(key, known === undefined ? { from, reason, detail, count: 1 } : plusOne(known))
      this.schedule()
    }
  }

  notice(notices: readonly PrimaryNotice[]): void {
    this.notices.push(...notices)
    if (notices.length > 0) this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    queueMicrotask(() => this.flush())
  }

  private flush(): void {
    this.isScheduled = false
    const { batchesStored, notices, refusals, requests, sends, taken } = this
    this.sends = []
    this.requests = []
    this.batchesStored = 0
    this.taken = new Map()
    this.refusals = new Map()
    this.notices = []
    this.post({ sends, requests, batchesStored, notices, taken: [...taken.values()], refusals: [...refusals.values()] })
  }
}

function plusOne(refusals: PrimaryRefusals): PrimaryRefusals {
  return { ...refusals, count: refusals.count + 1 }
}

/** A post copies all of the memory that a view is of: a record in a page of LMDB would take the page with it. */
function ownMemory(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes)
}

function toMain(request: WorkerRequest): PrimaryWorkerRequest {
  if (request.type === 'synchronize') return { ...request, digests: request.digests.map(ownMemory) }
  if (request.type === 'ordered') return { ...request, digest: ownMemory(request.digest) }
  if (request.type === 'sequences-after' || request.type === 'named' || request.type === 'unnamed') return request
  return { type: 'committed', commits: request.commits.map(committed) }
}

function committed(commit: Commit): CommittedBatches {
  const { index, timestamp, vertices } = commit
  return { index, timestamp, certificates: vertices.length, batches: [...committedBatches(commit)] }
}

/** With the header of each: they are the entries of the headers, in the same order, but for repeats. */
function* committedBatches({ batches, vertices }: Commit): Generator<CommittedBatch> {
  let next = 0
  for (const { certificate } of vertices) {
    const { author: proposer, payload, round } = certificate.header
    for (const entry of payload) {
      if (entry !== batches[next]) continue
      const { author, digest, worker } = entry
      next += 1
      yield { author, worker, digest: ownMemory(digestBytes(digest)), round, proposer }
    }
  }
  assert(next === batches.length, 'each batch of a commit is listed by a header of it')
}
