/**
 * What checkpoints cost, and how large and fast their proofs are, over records that are generated and never stored. A range
 * of ten million records has twenty million nodes: those below MEMORY_HEIGHT are made again when a proof needs them.
 */

import { integer } from '../src/main/cli/values.js'
import { publicKeyOf, signer, verifier } from '../src/shared/crypto/ed25519.js'
import { type Checkpoint, checkpointMessage, encodeAttestedCheckpoint } from '../src/shared/wire/primary/checkpoint.js'
import {
  append,
  EMPTY_RANGE,
  type MountainRange,
  type NodePlace,
  prove,
  rangeRoot,
  verifyInclusion,
} from '../src/shared/wire/primary/mountain-range.js'
import { sha256 } from '../src/shared/wire/primary/sha256.js'
import { verifyCheckpoint } from '../src/shared/wire/primary/verify-checkpoint.js'
import { main } from './lib/command.js'
import { environment, environmentLines } from './lib/environment.js'
import { drawTable } from './lib/table.js'

/** Nodes from this height on are kept. */
const MEMORY_HEIGHT = 8
const PROOFS = 200
const SIGNATURES = 500
const DIGEST = new Uint8Array(32).fill(0xcc)

interface RangeFigures {
  readonly records: number
  /** For each record, in µs. */
  readonly appendUs: number
  readonly rootUs: number
  /** Bytes: the mean and the most. */
  readonly proofBytes: number
  readonly proofBytesMax: number
  readonly verifyUs: number
}

const digestOf = (record: number): Uint8Array => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setFloat64(0, record)
  return sha256(bytes)
}

function usOf(times: number, act: (at: number) => void): number {
  const beganMs = performance.now()
  for (let at = 0; at < times; at += 1) act(at)
  return ((performance.now() - beganMs) * 1000) / times
}

function measureRange(records: number): RangeFigures {
  let range: MountainRange = EMPTY_RANGE
  const high = new Map<number, readonly Uint8Array[]>()
  const digestUs = usOf(Math.min(records, 100_000), (at) => digestOf(at + 1))
  const bothUs = usOf(records, (at) => {
    const next = append(sha256, range, digestOf(at + 1))
    range = next.range
    if (next.nodes.length > MEMORY_HEIGHT) high.set(range.count, next.nodes)
  })
  const nodeAt = ({ height, record }: NodePlace): Uint8Array => {
    const kept = high.get(record)?.[height]
    if (kept !== undefined) return kept
    let part: MountainRange = EMPTY_RANGE
    for (let at = record - 2 ** height + 1; at <= record; at += 1) part = append(sha256, part, digestOf(at)).range
    return part.peaks[0]!
  }
  const root = rangeRoot(sha256, range)
  const rootUs = usOf(1000, () => rangeRoot(sha256, range))
  const claims = Array.from({ length: PROOFS }, (_, at) => {
    const record = 1 + Math.floor((at * (records - 1)) / (PROOFS - 1))
    return { record, count: records, digest: digestOf(record), root, proof: prove(sha256, record, records, nodeAt) }
  })
  const bytes = claims.map(({ proof }) => 32 * proof.length)
  for (const claim of claims) if (!verifyInclusion(sha256, claim)) throw new Error(`no proof of record ${claim.record}`)
  return {
    records,
    appendUs: Math.max(0, bothUs - digestUs),
    rootUs,
    proofBytes: bytes.reduce((sum, each) => sum + each, 0) / PROOFS,
    proofBytesMax: Math.max(...bytes),
    verifyUs: usOf(10 * PROOFS, (at) => verifyInclusion(sha256, claims[at % PROOFS]!)),
  }
}

/** Of a committee of so many equal authorities: bytes of an attested checkpoint, and µs of what is done with keys. */
function measureSignatures(authorities: number): {
  bytes: number
  signUs: number
  verifyUs: number
  attestedUs: number
} {
  const seeds = Array.from({ length: authorities }, (_, at) => new Uint8Array(32).fill(at + 1))
  const sign = seeds.map(signer)
  const verify = seeds.map((seed) => verifier(publicKeyOf(seed)))
  const checkpoint: Checkpoint = { epoch: 0, index: 32, rule: DIGEST, root: DIGEST, state: DIGEST }
  const quorum = Math.floor((2 * authorities) / 3) + 1
  const message = checkpointMessage(DIGEST, checkpoint)
  const signatures = sign.slice(0, quorum).map((by, at) => ({ signer: at, signature: by(message) }))
  const record = encodeAttestedCheckpoint({ ...checkpoint, signatures })
  const committee = {
    digest: DIGEST,
    stakes: seeds.map(() => 1),
    verify: (authority: number, bytes: Uint8Array, signature: Uint8Array) => verify[authority]!(bytes, signature),
  }
  return {
    bytes: record.length,
    signUs: usOf(SIGNATURES, () => sign[0]!(message)),
    verifyUs: usOf(SIGNATURES, () => verify[0]!(message, signatures[0]!.signature)),
    attestedUs: usOf(Math.ceil(SIGNATURES / quorum), () => {
      if (!verifyCheckpoint(record, committee).ok) throw new Error('the checkpoint is not valid')
    }),
  }
}

await main('checkpoints', (program) => {
  program
    .description('measure the proofs of a log, and what a checkpoint costs')
    .option('--records <n>', 'records of the longest log', integer(1_000, 100_000_000), 10_000_000)
    .option('--json', 'print one line of JSON', false)
    .action(({ json, records }: { json: boolean; records: number }) => {
      const lengths = [1_000, 100_000, 10_000_000].filter((length) => length <= records)
      const ranges = lengths.map(measureRange)
      const signatures = [4, 10, 100].map((authorities) => ({ authorities, ...measureSignatures(authorities) }))
      const us = (value: number): string => value.toFixed(1)
      const lines = json
        ? [JSON.stringify({ environment: environment(), ranges, signatures })]
        : [
            ...environmentLines(environment()),
            '',
            ...drawTable(
              ['records', 'append µs', 'root µs', 'proof B', 'at most', 'verify µs'],
              ranges.map((each) => [
                String(each.records),
                us(each.appendUs),
                us(each.rootUs),
                each.proofBytes.toFixed(0),
                String(each.proofBytesMax),
                us(each.verifyUs),
              ]),
            ),
            '',
            ...drawTable(
              ['authorities', 'checkpoint B', 'sign µs', 'verify µs', 'verify all µs'],
              signatures.map((each) => [
                String(each.authorities),
                String(each.bytes),
                us(each.signUs),
                us(each.verifyUs),
                us(each.attestedUs),
              ]),
            ),
          ]
      process.stdout.write(`${lines.join('\n')}\n`)
    })
})
