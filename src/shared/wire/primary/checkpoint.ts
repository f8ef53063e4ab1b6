/**
 * A checkpoint: what an authority says of the log up to one commit. Who has ordered the same says the same, byte for byte.
 * With the signatures of a quorum it proves the order to everybody who has the committee file.
 *
 * ```
 *  0     1     2        4       8       16      24       56     88      120
 *  ├ 1 ──┼ 9 ──┼ signer ┼ zeros ┼ epoch ┼ index ┼ rule ──┼ root ┼ state ┼ signature 64 ┤     as one authority signs it
 *  version kind  u16              u64     u64     32       32     32
 *
 *  0     1     2        4       8       16      24       56     88      120         152
 *  ├ 1 ──┼ 10 ─┼ count ─┼ zeros ┼ epoch ┼ index ┼ rule ──┼ root ┼ state ┼ signers ──┼ count signatures, 64 each ┤
 *                u16              u64     u64     32       32     32      32          by ascending signer
 *
 *  signature  over "narval/checkpoint/v1", zeros to 32 ‖ committee digest 32 ‖ bytes 8 to 120 of the record
 * ```
 *
 * `index` is that of the last commit. `rule` is what primaries agree on before they speak (`agreement.ts`). `root` is that
 * of the mountain range over the digests of all records up to `index` (`mountain-range.ts`). `state` is the hash of what
 * consensus knows of the committed prefix then. `signers` is a set, as in a certificate.
 */
import { assert } from '../../assert.js'
import { DIGEST_BYTES, SIGNATURE_BYTES } from '../../constants.js'
import { peerMask } from '../ack.js'
import {
  ATTESTED_CHECKPOINT_BYTES_MAX,
  ATTESTED_HEAD_BYTES,
  CHECKPOINT_HEAD_BYTES,
  SIGNED_CHECKPOINT_BYTES,
} from './limits.js'
import * as record from './record.js'

const DOMAIN = record.domain('narval/checkpoint/v1')
const SAID_AT = 8

export interface Checkpoint {
  readonly epoch: number
  /** Of the last commit that it is of. */
  readonly index: number
  /** 32 bytes each. */
  readonly rule: Uint8Array
  readonly root: Uint8Array
  readonly state: Uint8Array
}

export interface CheckpointSignature {
  readonly signer: number
  /** 64 bytes over `checkpointMessage`. */
  readonly signature: Uint8Array
}

export interface SignedCheckpoint extends Checkpoint, CheckpointSignature {}

export interface AttestedCheckpoint extends Checkpoint {
  /** By ascending signer. */
  readonly signatures: readonly CheckpointSignature[]
}

type Kind = 'signed-checkpoint' | 'attested-checkpoint'

/** What an authority signs. */
export function checkpointMessage(committeeDigest: Uint8Array, checkpoint: Checkpoint): Uint8Array {
  const said = new Uint8Array(CHECKPOINT_HEAD_BYTES)
  writeSaid(said, checkpoint)
  const message = new Uint8Array(32 + DIGEST_BYTES + CHECKPOINT_HEAD_BYTES - SAID_AT)
  message.set(DOMAIN)
  record.writeDigest(message, 32, committeeDigest)
  message.set(said.subarray(SAID_AT), 32 + DIGEST_BYTES)
  return message
}

/** Whether both say the same. */
export function isSameCheckpoint(a: Checkpoint, b: Checkpoint): boolean {
  return (
    a.epoch === b.epoch &&
    a.index === b.index &&
    (['rule', 'root', 'state'] as const).every((name) => record.compareBytes(a[name], b[name]) === 0)
  )
}

export function encodeSignedCheckpoint(checkpoint: SignedCheckpoint): Uint8Array {
  const { signature, signer } = checkpoint
  assert(signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes')
  const bytes = new Uint8Array(SIGNED_CHECKPOINT_BYTES)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS['signed-checkpoint']])
  record.writeAuthority(new DataView(bytes.buffer), 2, signer)
  writeSaid(bytes, checkpoint)
  bytes.set(signature, CHECKPOINT_HEAD_BYTES)
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeSignedCheckpoint(bytes: Uint8Array, authorities: number): SignedCheckpoint {
  const kind = 'signed-checkpoint'
  const view = record.open(kind, bytes, SIGNED_CHECKPOINT_BYTES, SIGNED_CHECKPOINT_BYTES)
  return {
    ...readSaid(kind, bytes, view),
    signer: record.readAuthority(kind, view, 2, 'signer', authorities),
    signature: record.readBytes(bytes, CHECKPOINT_HEAD_BYTES, SIGNATURE_BYTES),
  }
}

export function encodeAttestedCheckpoint(checkpoint: AttestedCheckpoint): Uint8Array {
  const { signatures } = checkpoint
  const bytes = new Uint8Array(ATTESTED_HEAD_BYTES + signatures.length * SIGNATURE_BYTES)
  bytes.set([record.RECORD_VERSION, record.RECORD_KINDS['attested-checkpoint']])
  new DataView(bytes.buffer).setUint16(2, signatures.length, true)
  writeSaid(bytes, checkpoint)
  bytes.set(peerMask(signatures.map(({ signer }) => signer)), CHECKPOINT_HEAD_BYTES)
  for (const [at, { signature, signer }] of signatures.entries()) {
    assert(at === 0 || signatures[at - 1]!.signer < signer, 'signers ascend')
    assert(signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes')
    bytes.set(signature, ATTESTED_HEAD_BYTES + at * SIGNATURE_BYTES)
  }
  return bytes
}

/** @throws NarvalError ERR_CODEC */
export function decodeAttestedCheckpoint(bytes: Uint8Array, authorities: number): AttestedCheckpoint {
  const kind = 'attested-checkpoint'
  const view = record.open(kind, bytes, ATTESTED_HEAD_BYTES, ATTESTED_CHECKPOINT_BYTES_MAX)
  const signers = record.readAuthorities(kind, bytes, CHECKPOINT_HEAD_BYTES, 'signer', authorities)
  const count = view.getUint16(2, true)
  if (count !== signers.length) throw record.malformed(kind, `${count} signatures of ${signers.length} signers`)
  const expected = ATTESTED_HEAD_BYTES + count * SIGNATURE_BYTES
  if (bytes.length !== expected) throw record.malformed(kind, `${bytes.length} bytes, expected ${expected}`)
  const signatures = record.readSignatures(bytes, ATTESTED_HEAD_BYTES, count)
  return {
    ...readSaid(kind, bytes, view),
    signatures: signers.map((signer, at) => ({ signer, signature: signatures[at]! })),
  }
}

function writeSaid(out: Uint8Array, { epoch, index, root, rule, state }: Checkpoint): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength)
  assert(index >= 1, 'the index of a commit begins with 1')
  record.writeWhole(view, SAID_AT, epoch)
  record.writeWhole(view, 16, index)
  for (const [at, digest] of [rule, root, state].entries()) record.writeDigest(out, 24 + at * DIGEST_BYTES, digest)
}

function readSaid(kind: Kind, bytes: Uint8Array, view: DataView): Checkpoint {
  record.readZeros(kind, bytes, 4, 4)
  const [rule, root, state] = [0, 1, 2].map((at) => record.readBytes(bytes, 24 + at * DIGEST_BYTES, DIGEST_BYTES))
  return {
    epoch: record.readWhole(kind, view, SAID_AT, 'epoch'),
    index: record.readWhole(kind, view, 16, 'index', 1),
    rule: rule!,
    root: root!,
    state: state!,
  }
}
