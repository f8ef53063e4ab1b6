/**
 * Commits that follow from their index alone, so that whoever reads one can say what it has to be. The codec is handed in:
 * a test has it from the sources, a process of its own from dist.
 */
import { createHash } from 'node:crypto'

export const AUTHORITIES = 4
export const COMMITTEE_DIGEST = new Uint8Array(32).fill(0xcc)
const ZEROS = new Uint8Array(64)

export const SETTINGS = {
  authority: Buffer.alloc(32, 1).toString('base64'),
  committeeDigest: Buffer.from(COMMITTEE_DIGEST).toString('hex'),
  authorities: AUTHORITIES,
  epoch: 0,
  rule: 'shoal',
  gcDepth: 50,
}

const sha256 = (text) => new Uint8Array(createHash('sha256').update(text).digest())
const keyOf = (bytes) => Buffer.from(bytes).toString('latin1')

export function batchOf(index, position) {
  return {
    digest: sha256(`batch ${index} ${position}`),
    author: (index + position) % AUTHORITIES,
    worker: 0,
    sequence: BigInt(index) * 1_000_000n + BigInt(position),
  }
}

export function patternOf({ encodeCertificate, headerId }) {
  /** The certificate of round `index`. */
  const certificateOf = (index) => {
    const header = {
      author: index % AUTHORITIES,
      epoch: 0,
      round: index,
      createdAt: 1_000 + index,
      parents: [sha256(`parent ${index}`)],
      payload: [],
      signature: ZEROS,
    }
    const votes = [{ voter: 0, signature: ZEROS }]
    return {
      round: index,
      author: header.author,
      digest: headerId(COMMITTEE_DIGEST, header),
      bytes: encodeCertificate({ header, votes }),
    }
  }
  /** The commit with this index: one certificate, and so many batches. */
  const commitOf = (index, batchCount = index % 5) => {
    const { author, digest, round } = certificateOf(index)
    const vertex = { round, author, digest: keyOf(digest), parents: 0n, certificate: undefined }
    const batches = Array.from({ length: batchCount }, (_, position) => {
      const batch = batchOf(index, position)
      return { ...batch, digest: keyOf(batch.digest) }
    })
    const runs = new Map(batches.map(({ author, sequence }) => [author, sequence]))
    return {
      index,
      timestamp: 1_000 + index,
      anchor: vertex,
      vertices: [vertex],
      batches,
      runChanges: Array.from(runs, ([author, last]) => ({ author, worker: 0, first: 0n, last })),
    }
  }
  const positionOf = (index) => ({
    rule: 'shoal',
    gcDepth: 50,
    stakes: [1, 1, 1, 1],
    index,
    timestamp: 1_000 + index,
    ruleState: { gcRound: Math.max(0, index - 50) },
  })
  /** What a turn writes that makes the commits from one index to another; `recorder` makes the records of them. */
  const turnOf = (from, to, batchCount) => {
    const indices = Array.from({ length: to - from + 1 }, (_, n) => from + n)
    return [
      ...indices.map((index) => ({ type: 'certificate', ...certificateOf(index) })),
      {
        type: 'commits',
        commits: indices.map((index) => commitOf(index, batchCount)),
        state: positionOf(to),
      },
      { type: 'collected', gcRound: Math.max(0, to - 50) },
    ]
  }
  return { certificateOf, commitOf, positionOf, turnOf }
}

/** Makes the records of commits that go to this store, as the primary does. Nothing else is handed to it meanwhile. */
export function recorder(RecordChain, store) {
  let chain
  const recordOf = (commit) => {
    chain ??= new RecordChain({ committeeDigest: COMMITTEE_DIGEST, epoch: 0 }, store.state().log)
    return chain.append(commit)
  }
  return (writes) =>
    writes.map((write) =>
      write.commits === undefined ? write : { ...write, commits: undefined, records: write.commits.map(recordOf) },
    )
}
