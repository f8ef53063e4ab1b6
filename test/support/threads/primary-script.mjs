/**
 * What a primary's store does from its first start on, stage by stage, the same in each run: a test knows what the store
 * holds after each of them. The codec is handed in: a test has it from the sources, a process of its own from dist.
 */
import { AUTHORITIES, batchOf, patternOf, recorder, SETTINGS } from './commit-pattern.mjs'

/** Small, so that a few turns go beyond each of them. */
export const OPTIONS = { settings: SETTINGS, retentionCommits: 4, certificateRoundsKept: 1 }

/** A stage is a turn's writes, or a restart with these options. */
export function stagesOf({ encodeAttestedCheckpoint, encodeCertificate, encodeVote, headerId }) {
  const { commitOf, positionOf, turnOf } = patternOf({ encodeCertificate, headerId })
  const voteOf = (round) =>
    encodeVote({
      voter: 0,
      author: round % AUTHORITIES,
      epoch: 0,
      round,
      headerId: new Uint8Array(32).fill(round),
      signature: new Uint8Array(64),
    })
  const attested = (index) => {
    const [rule, root, state] = [1, 2, 3].map((of) => new Uint8Array(32).fill(index + of))
    return encodeAttestedCheckpoint({ epoch: 0, index, rule, root, state, signatures: [] })
  }
  const fetched = (index) => ({ type: 'fetched', commits: [{ ...commitOf(index), round: index }] })
  const turn = (index, batchCount) => ({
    writes: [
      { type: 'own-header', round: index, bytes: Buffer.from(`header of ${index}`) },
      { type: 'vote', author: index % AUTHORITIES, bytes: voteOf(index) },
      { type: 'own-batch', batch: batchOf(index, 0) },
      ...(index > 2 ? [{ type: 'own-batch-done', batch: batchOf(index - 2, 0) }] : []),
      { type: 'payload', batch: batchOf(index, 1) },
      ...(index > 2 ? [{ type: 'payload-done', batch: batchOf(index - 2, 1) }] : []),
      {
        type: 'evidence',
        evidence: {
          ...{ kind: 'headers', accused: index % AUTHORITIES, epoch: 0, round: index },
          ...{ committee: Buffer.from(SETTINGS.committeeDigest, 'hex') },
          ...{ first: Buffer.from(`one header of ${index}`), second: Buffer.from(`another header of ${index}`) },
        },
      },
      { type: 'worker-store', worker: index % 2, storeId: new Uint8Array(16).fill(index) },
      { type: 'payload-complete', round: index },
      { type: 'checkpoint-signed', bytes: Buffer.from(`our checkpoint of ${index}`) },
      { type: 'checkpoint-attested', index, bytes: attested(index) },
      ...turnOf(index, index, batchCount).filter(({ type }) => type !== 'collected'),
      { type: 'collected', gcRound: Math.max(0, index - 3) },
    ],
  })
  return [
    turn(1),
    // Several parts, which are taken away later.
    turn(2, 2_500),
    turn(3),
    { restart: {} },
    ...[4, 5, 6, 7, 8].map((index) => turn(index)),
    { restart: { isRecovered: true } },
    { writes: [{ type: 'signing', signing: { state: 'above', round: 50 } }] },
    turn(9),
    // What others have ordered, with a restart before the state at its end.
    { writes: [fetched(10)] },
    { restart: {} },
    { writes: [fetched(11)] },
    {
      writes: [
        { type: 'joined', state: positionOf(11) },
        { type: 'collected', gcRound: 8 },
      ],
    },
    turn(12),
  ]
}

/** Runs the stages from one on; says each that is on the disk. Returns the store, which is open. */
export async function runStages(stages, from, open, onStage, RecordChain) {
  let store = await open({})
  let record = recorder(RecordChain, store)
  for (let stage = from; stage < stages.length; stage += 1) {
    const { restart, writes } = stages[stage]
    if (restart !== undefined) {
      await store.close()
      store = await open(restart)
      record = recorder(RecordChain, store)
    } else await new Promise((resolve) => store.write(record(writes), resolve))
    await onStage(stage)
  }
  return store
}
