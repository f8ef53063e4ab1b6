/** Proofs of receipts, put together by hand of a committee whose seeds are known, as honest authorities would. */
import { committeeDigest, parseCommittee } from '../../src/shared/config/committee.js'
import { publicKeyOf, signer } from '../../src/shared/crypto/ed25519.js'
import { encodeBatch } from '../../src/shared/wire/batch.js'
import { BatchDigester, chunkStartsOf } from '../../src/shared/wire/digest.js'
import { encodeCertificate } from '../../src/shared/wire/primary/certificate.js'
import { checkpointMessage, encodeAttestedCheckpoint } from '../../src/shared/wire/primary/checkpoint.js'
import { commitDigest } from '../../src/shared/wire/primary/commit-digest.js'
import { encodeCommitRecord, NO_COMMIT } from '../../src/shared/wire/primary/commit-record.js'
import { headerSignatureMessage } from '../../src/shared/wire/primary/header.js'
import { headerId } from '../../src/shared/wire/primary/header-id.js'
import {
  append,
  EMPTY_RANGE,
  type MountainRange,
  type NodePlace,
  prove,
  rangeRoot,
} from '../../src/shared/wire/primary/mountain-range.js'
import { sha256 } from '../../src/shared/wire/primary/sha256.js'
import { voteMessage } from '../../src/shared/wire/primary/vote.js'
import { committeeOf } from '../../src/shared/wire/proof/committee-of.js'
import type { ReceiptProof } from '../../src/shared/wire/proof/receipt-proof.js'
import { proveTransaction } from '../../src/shared/wire/proof.js'

export interface HandCommittee {
  readonly file: { readonly authorities: Readonly<Record<string, object>> }
  readonly digest: Uint8Array
  /** By authority index. */
  readonly sign: readonly ((message: Uint8Array) => Uint8Array)[]
  readonly publicKeys: readonly Uint8Array[]
}

/** @param seeds one byte of each, which fills it */
export function handCommittee(seeds: readonly number[], stakes: readonly number[] = seeds.map(() => 1)): HandCommittee {
  const members = seeds.map((byte, at) => {
    const seed = new Uint8Array(32).fill(byte)
    const publicKey = publicKeyOf(seed)
    return { name: Buffer.from(publicKey).toString('base64'), publicKey, sign: signer(seed), stake: stakes[at]! }
  })
  const file = {
    authorities: Object.fromEntries(
      members.map(({ name, stake }) => [name, { stake, primary: {}, workers: { 0: {}, 1: {} } }]),
    ),
  }
  const ordered = [...members].sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
  return {
    file,
    digest: committeeDigest(parseCommittee(file)),
    sign: ordered.map(({ sign }) => sign),
    publicKeys: ordered.map(({ publicKey }) => publicKey),
  }
}

export interface HandOptions {
  readonly transactions?: readonly Uint8Array[]
  /** Which of them. */
  readonly index?: number
  readonly voters?: readonly number[]
  readonly signers?: readonly number[]
  /** Which commit has the batch, of how many. */
  readonly commit?: number
  readonly commits?: number
  readonly epoch?: number
  /** Of the header, where it is another. */
  readonly headerEpoch?: number
  /** Of the checkpoint, where it is another. */
  readonly checkpointEpoch?: number
}

const QUORUM = [0, 1, 3]
const fill = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

export function handProof(committee: HandCommittee, options: HandOptions = {}): ReceiptProof {
  const { commit: ofCommit = 3, commits = 37, epoch = 0, index = 1, signers = QUORUM, voters = QUORUM } = options
  const { headerEpoch = epoch, checkpointEpoch = epoch } = options
  const transactions = options.transactions ?? ['first', 'second', 'third'].map((text) => Buffer.from(text))
  const bytes = encodeBatch(transactions, { workerId: 1, sequence: 7n })
  const digest = new Uint8Array(32)
  new BatchDigester(bytes.length).digest(bytes, chunkStartsOf(bytes), committee.publicKeys[2]!, digest)
  const batch = { digest, author: 2, worker: 1, sequence: 7n }
  const before = { digest: fill(0xee), author: 1, worker: 0, sequence: 3n }

  const unsigned = {
    author: 2,
    epoch: headerEpoch,
    round: 5,
    createdAt: 1_790_000_000_000,
    parents: [],
    payload: [before, batch],
  }
  const id = headerId(committee.digest, unsigned)
  const header = { ...unsigned, signature: committee.sign[2]!(headerSignatureMessage(id)) }
  const message = voteMessage(committee.digest, { author: 2, epoch: headerEpoch, round: 5, headerId: id })
  const votes = voters.map((voter) => ({ voter, signature: committee.sign[voter]!(message) }))

  const nodes = new Map<string, Uint8Array>()
  let [range, previous, record]: [MountainRange, Uint8Array, Uint8Array] = [EMPTY_RANGE, NO_COMMIT, new Uint8Array(0)]
  for (let at = 1; at <= commits; at += 1) {
    const isIt = at === ofCommit
    const one = encodeCommitRecord({
      epoch,
      index: at,
      timestamp: 1_790_000_000_000 + at,
      firstBatch: at <= ofCommit ? 0 : 2,
      previous,
      certificates: [
        { id: fill(0xd0), round: 4, author: 0 },
        { id: isIt ? id : fill(0xd1), round: 5, author: 2 },
      ],
      batches: isIt ? [before, batch] : [],
    })
    previous = commitDigest(committee.digest, [one])
    const grown = append(sha256, range, previous)
    for (const [height, node] of grown.nodes.entries()) nodes.set(`${at}.${height}`, node)
    range = grown.range
    if (isIt) record = one
  }
  const said = { epoch: checkpointEpoch, index: commits, rule: fill(1), root: rangeRoot(sha256, range), state: fill(2) }
  const signed = checkpointMessage(committee.digest, said)
  const signatures = signers.map((signer) => ({ signer, signature: committee.sign[signer]!(signed) }))
  const nodeAt = ({ height, record }: NodePlace): Uint8Array => nodes.get(`${record}.${height}`)!
  return {
    id: sha256(transactions[index]!),
    transaction: proveTransaction(bytes, index),
    availability: { entry: 1, certificate: encodeCertificate({ header, votes }) },
    order: {
      position: 1,
      commit: record,
      range: prove(sha256, ofCommit, commits, nodeAt),
      checkpoint: encodeAttestedCheckpoint({ ...said, signatures }),
    },
  }
}

export const handVerifier = (committee: HandCommittee) => committeeOf(committee.file)
