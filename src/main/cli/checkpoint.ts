/** `checkpoint`: prints a checkpoint that a quorum has signed; a running node does not notice. */
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import { primaryStoreOf } from '../../shared/store/authority-directories.js'
import { CheckpointReader, type StoredCheckpoint } from '../../shared/store/primary/checkpoint-reader.js'
import { CommitLogReader } from '../../shared/store/primary/commit-log-reader.js'

export interface CheckpointOptions {
  readonly store: string
  /** Of which commit; the latest unless given. */
  readonly index?: number
  /** Print the proof that this commit is under it, and the commit's record. */
  readonly prove?: number
  readonly json: boolean
}

/** @throws NarvalError ERR_CHECKPOINT_NOT_FOUND, ERR_COMMITS_PRUNED, ERR_STORE_* */
export function printCheckpoint({ index, json, prove, store }: CheckpointOptions): void {
  const directory = primaryStoreOf(store)
  const log = new CommitLogReader(directory)
  const reader = new CheckpointReader(directory, log.settings)
  try {
    const found = index === undefined ? reader.latest() : reader.at(index)
    if (found === undefined) throw notFound(store, index)
    const proof = prove === undefined ? undefined : proofOf(found, prove, { log, reader })
    process.stdout.write(json ? `${JSON.stringify({ ...jsonOf(found), ...proof })}\n` : textOf(found, proof))
  } finally {
    reader.close()
    log.close()
  }
}

interface CommitProof {
  readonly proven: number
  /** In base64: of the commit, and the nodes beside its way to the root. */
  readonly proven_record: string
  readonly proof: readonly string[]
}

function proofOf(
  { checkpoint }: StoredCheckpoint,
  commit: number,
  { log, reader }: { log: CommitLogReader; reader: CheckpointReader },
): CommitProof {
  if (commit > checkpoint.index) {
    throw new NarvalError(
      'ERR_CHECKPOINT_NOT_FOUND',
      `commit ${commit} is not under the checkpoint of commit ${checkpoint.index}: ask for a later one`,
    )
  }
  const [found] = log.commits(commit - 1)
  const record = Buffer.concat([...found!.pieces()])
  const proof = reader.prove(commit, checkpoint.index).map(encodeBase64)
  return { proven: commit, proven_record: encodeBase64(record), proof }
}

function textOf({ bytes, checkpoint }: StoredCheckpoint, proof: CommitProof | undefined): string {
  const { epoch, index, root, rule, signatures, state } = checkpoint
  const lines = [
    `checkpoint of commit ${index}  epoch ${epoch}  signed by authorities ${signatures.map(({ signer }) => signer).join(', ')}`,
    `root    ${hex(root)}`,
    `state   ${hex(state)}`,
    `rule    ${hex(rule)}`,
    `record  ${encodeBase64(bytes)}`,
    ...(proof === undefined
      ? []
      : [
          `commit ${proof.proven} is under it`,
          `        ${proof.proven_record}`,
          ...proof.proof.map((node) => `node    ${node}`),
        ]),
  ]
  return `${lines.join('\n')}\n`
}

function jsonOf({ bytes, checkpoint }: StoredCheckpoint): object {
  const { epoch, index, root, rule, signatures, state } = checkpoint
  return {
    commit: index,
    epoch,
    rule: hex(rule),
    root: hex(root),
    state: hex(state),
    signers: signatures.map(({ signer }) => signer),
    record: encodeBase64(bytes),
  }
}

function notFound(store: string, index: number | undefined): NarvalError {
  return new NarvalError(
    'ERR_CHECKPOINT_NOT_FOUND',
    index === undefined
      ? `${store} has no checkpoint yet: a quorum signs one with each 32nd commit, and when nothing was ordered for a moment`
      : `${store} has no checkpoint of commit ${index}: there is one of most multiples of 32 within the log, and the latest (without --index)`,
  )
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
