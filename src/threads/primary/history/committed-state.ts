/**
 * The state of consensus after a commit as it is sent, with the checkpoint that a quorum has signed of it. Pure.
 *
 * ```
 *  ├ length u32 LE ┼ the checkpoint, as a record ┼ JSON: { position, runs: [author, worker, digest in hexadecimal] each } ┤
 * ```
 */
import { z } from 'zod'
import { malformed } from '../../../shared/wire/primary/record.js'
import type { ConsensusPosition } from '../consensus/consensus-state.js'
import type { CommittedState } from '../consensus/state-digest.js'

const LENGTH_BYTES = 4
const whole = z.int().min(0)

/** What is in it is compared with a digest that a quorum has signed: here it need only be something that has one. */
const schema = z.strictObject({
  position: z.strictObject({
    rule: z.string(),
    gcDepth: whole,
    stakes: z.array(whole),
    index: whole,
    timestamp: whole,
    ruleState: z.record(z.string(), z.unknown()),
    claims: z.array(z.tuple([whole, whole, whole, z.string(), z.string()])),
  }),
  runs: z.array(z.tuple([whole.max(2 ** 16 - 1), whole.max(2 ** 32 - 1), z.string().regex(/^[0-9a-f]{64}$/)])),
})

export function encodeState(checkpoint: Uint8Array, { position, runs }: CommittedState): Uint8Array {
  const named = runs.map(([author, worker, digest]) => [author, worker, Buffer.from(digest).toString('hex')])
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32LE(checkpoint.length)
  return Buffer.concat([length, checkpoint, Buffer.from(JSON.stringify({ position, runs: named }))])
}

/** @throws NarvalError ERR_CODEC */
export function decodeState(bytes: Uint8Array): { readonly checkpoint: Uint8Array; readonly state: CommittedState } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = LENGTH_BYTES + (buffer.length < LENGTH_BYTES ? 0 : buffer.readUInt32LE())
  if (buffer.length <= end) throw malformed('history-piece', `a state of ${buffer.length} bytes`)
  const { position, runs } = read(buffer.subarray(end))
  const state = {
    position: position as ConsensusPosition,
    runs: runs.map(([author, worker, digest]) => [author, worker, new Uint8Array(Buffer.from(digest, 'hex'))] as const),
  }
  return { checkpoint: Uint8Array.from(buffer.subarray(LENGTH_BYTES, end)), state }
}

function read(bytes: Buffer): z.infer<typeof schema> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    throw malformed('history-piece', 'a state that is no JSON')
  }
  const result = schema.safeParse(value)
  if (!result.success) throw malformed('history-piece', `a state: ${result.error.issues[0]!.message}`)
  return result.data
}
