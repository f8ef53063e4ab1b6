/** Who signs which checkpoint when, what makes a quorum, and what those are worth that say something else. */
import { beforeEach, describe, expect, test } from 'vitest'
import { NarvalError } from '../../../src/shared/errors.js'
import {
  type Checkpoint,
  checkpointMessage,
  decodeAttestedCheckpoint,
  decodeSignedCheckpoint,
  encodeAttestedCheckpoint,
  type SignedCheckpoint,
} from '../../../src/shared/wire/primary/checkpoint.js'
import { decodeEvidence, encodeEvidence } from '../../../src/shared/wire/primary/evidence.js'
import { CHECKPOINT_INTERVAL } from '../../../src/shared/wire/primary/limits.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { decodeCheckpointRequest } from '../../../src/shared/wire/primary/requests.js'
import { sha256 } from '../../../src/shared/wire/primary/sha256.js'
import { verifyEvidence } from '../../../src/shared/wire/primary/verify-evidence.js'
import { Checkpointer } from '../../../src/threads/primary/checkpointer.js'
import type { Consensus } from '../../../src/threads/primary/consensus/consensus.js'
import { Stakes } from '../../../src/threads/primary/consensus/stakes.js'
import { EvidenceKeeper } from '../../../src/threads/primary/evidence-keeper.js'
import {
  CHECKPOINT_CLAIMS_PER_PEER,
  CHECKPOINT_REST_MS,
  CHECKPOINT_RETRY_MS,
  DIFFERING_SAID_MAX,
  OWN_CHECKPOINTS_KEPT,
} from '../../../src/threads/primary/limits.js'
import { Peers } from '../../../src/threads/primary/peers.js'
import { Signatures } from '../../../src/threads/primary/signatures.js'
import type { StoredState } from '../../../src/threads/primary/store/writes.js'
import { FRESH_STATE } from '../../../src/threads/primary/stored-state.js'
import { type Turn, TurnBuilder } from '../../../src/threads/primary/turn.js'
import { commitOf } from '../../support/primary-stores.js'
import { simulatedKeys } from '../../support/simulator/keys.js'
import { SimulatedStore } from '../../support/simulator/store.js'
import { COMMITTEE_DIGEST } from '../../support/threads/commit-pattern.mjs'

const STAKES = [1, 1, 1, 1]
const RULE = new Uint8Array(32).fill(7)
const state = (index: number): Uint8Array => sha256(Buffer.from(`state ${index}`))

/** One authority's checkpointer, with the clock in our hand; its commits follow from their index. */
class Node {
  readonly checkpointer: Checkpointer
  readonly store: SimulatedStore
  readonly keys
  readonly index: number
  ms = 1000
  last: number

  constructor(index: number, { stakes = STAKES, store = new SimulatedStore() } = {}) {
    this.index = index
    this.store = store
    this.keys = simulatedKeys(index)
    const stored: StoredState = { ...FRESH_STATE, ...store.state() }
    this.last = stored.log?.index ?? 0
    const peers = new Peers(index, stakes.length)
    for (const peer of stakes.keys()) if (peer !== index) peers.connect(peer)
    this.checkpointer = new Checkpointer(
      { authority: index, committeeDigest: COMMITTEE_DIGEST, rule: RULE, stakes: new Stakes(stakes) },
      {
        signatures: new Signatures(this.keys, COMMITTEE_DIGEST, index, stakes.length),
        consensus: { stateDigest: () => state(this.last) } as Consensus,
        peers,
        evidence: new EvidenceKeeper(COMMITTEE_DIGEST, stakes.length, stored.evidence),
      },
      stored,
    )
  }

  turn(act: (turn: TurnBuilder) => void = () => {}, maySign = true): Turn {
    const turn = new TurnBuilder({ ms: this.ms, unixMs: 0 })
    let stopped: NarvalError | undefined
    try {
      act(turn)
      this.checkpointer.tick(maySign, turn)
    } catch (error) {
      if (!(error instanceof NarvalError)) throw error
      stopped = error
    }
    const done = turn.finish(this.checkpointer.wakeAtMs, () => ({ index: this.last }) as never, stopped)
    this.store.apply(done.writes)
    return done
  }

  /** Orders up to this commit. */
  order(to: number, maySign = true): Turn {
    return this.turn((turn) => {
      const commits = Array.from({ length: to - this.last }, (_, at) => commitOf(this.last + at + 1))
      this.last = to
      this.checkpointer.committed(
        commits.map((commit) =>
          commit.index % CHECKPOINT_INTERVAL === 0 ? { ...commit, stateDigest: state(commit.index) } : commit,
        ),
        turn,
      )
    }, maySign)
  }

  wait(ms: number, maySign = true): Turn {
    this.ms += ms
    return this.turn(undefined, maySign)
  }

  takes(checkpoint: SignedCheckpoint, from = checkpoint.signer): Turn {
    return this.turn((turn) => this.checkpointer.signature(from, checkpoint, turn))
  }

  get attested(): number {
    return this.checkpointer.attestedIndex
  }
}

const signedIn = ({ sends }: Turn): SignedCheckpoint[] =>
  sends
    .filter(({ bytes }) => kindOf(bytes) === 'signed-checkpoint')
    .map(({ bytes }) => decodeSignedCheckpoint(bytes, 256))
const requestsIn = ({ sends }: Turn): (readonly [to: unknown, index: number])[] =>
  sends
    .filter(({ bytes }) => kindOf(bytes) === 'checkpoint-request')
    .map(({ bytes, to }) => [to, decodeCheckpointRequest(bytes)] as const)
const reasonsIn = ({ refusals }: Turn): string[] => refusals.map(({ reason }) => reason)
const differsIn = ({ notices }: Turn): number[] =>
  notices.flatMap((notice) => (notice.type === 'checkpoint-differs' ? [notice.author] : []))

/** Whom what a turn writes convicts, as anybody can verify. */
function convictedBy({ writes }: Turn): (readonly number[])[] {
  const committee = {
    authorities: 4,
    digest: COMMITTEE_DIGEST,
    quorum: 3,
    stakeOf: () => 1,
    verify: (authority: number, message: Uint8Array, signature: Uint8Array) =>
      simulatedKeys(0).verify([{ authority, message, signature }]),
  }
  return writes.flatMap((write) => {
    if (write.type !== 'evidence') return []
    const verdict = verifyEvidence(decodeEvidence(encodeEvidence(write.evidence), 4), committee)
    if (!verdict.isValid) throw new Error(verdict.why)
    return [verdict.convicted]
  })
}

/** The same by another signer, or another one by it. */
function by(signer: number, checkpoint: Checkpoint, changed: Partial<Checkpoint> = {}): SignedCheckpoint {
  const { epoch, index, root, rule, state } = { ...checkpoint, ...changed }
  const said = { epoch, index, root, rule, state }
  return { ...said, signer, signature: simulatedKeys(signer).sign(checkpointMessage(COMMITTEE_DIGEST, said)) }
}
const OTHER = { root: new Uint8Array(32).fill(0xee) }
const forged = (checkpoint: SignedCheckpoint): SignedCheckpoint => ({ ...checkpoint, signature: new Uint8Array(64) })

let node: Node
beforeEach(() => {
  node = new Node(0)
})

describe('a checkpoint is signed', () => {
  test('of each 32nd commit, in the turn that makes it, and leaves when it is durable', () => {
    expect(signedIn(node.order(31))).toEqual([])
    const turn = node.order(70)
    expect(signedIn(turn).map(({ index }) => index)).toEqual([32, 64])
    expect(turn.writes.map(({ type }) => type)).toEqual(['checkpoint-signed', 'checkpoint-signed', 'commits'])
    expect(turn.sends.every(({ afterDurable, to }) => afterDurable && to === 'all')).toBe(true)
  })

  test('of the last commit when nothing was ordered for a while, once', () => {
    node.order(5)
    expect(signedIn(node.wait(CHECKPOINT_REST_MS - 1))).toEqual([])
    expect(signedIn(node.wait(1)).map(({ index }) => index)).toEqual([5])
    expect(signedIn(node.wait(CHECKPOINT_REST_MS))).toEqual([])
    node.order(32)
    expect(signedIn(node.wait(CHECKPOINT_REST_MS))).toEqual([])
  })

  test('alike by all, whatever came in one turn', () => {
    const one = new Node(1)
    const all = [...signedIn(node.order(96)), ...signedIn(node.wait(CHECKPOINT_REST_MS))]
    const each = Array.from({ length: 96 }, (_, at) => signedIn(one.order(at + 1))).flat()
    expect(each.map((checkpoint) => by(0, checkpoint))).toEqual(all.map((checkpoint) => by(0, checkpoint)))
    expect(all).toHaveLength(3)
  })

  test('not while nothing may be signed, and not later for what was ordered then', () => {
    expect(node.order(40, false).sends).toEqual([])
    expect(node.wait(CHECKPOINT_REST_MS, false).sends).toEqual([])
    expect(node.wait(CHECKPOINT_REST_MS).sends).toEqual([])
    expect(signedIn(node.order(64)).map(({ index }) => index)).toEqual([64])
  })

  test('not of what stood in the store at the start', () => {
    node.order(40)
    const again = new Node(0, { store: node.store })
    expect(again.wait(10 * CHECKPOINT_REST_MS).writes).toEqual([])
    expect(signedIn(again.order(41))).toEqual([])
    const [signed] = signedIn(again.wait(CHECKPOINT_REST_MS))
    expect(signed!.index).toBe(41)
    node.order(41)
    expect(signedIn(node.wait(CHECKPOINT_REST_MS))).toEqual([signed])
  })

  test('of a long way made at once, the last ones only', () => {
    expect(signedIn(node.order(100 * CHECKPOINT_INTERVAL))).toHaveLength(OWN_CHECKPOINTS_KEPT)
  })
})

describe('it is attested', () => {
  let signed: SignedCheckpoint
  beforeEach(() => {
    signed = signedIn(node.order(32))[0]!
  })

  test('by equal signatures of a quorum; the fourth is not verified', () => {
    node.takes(by(1, signed))
    expect([node.attested, node.keys.verified]).toEqual([0, 0])
    const turn = node.takes(by(2, signed))
    expect([node.attested, node.keys.verified]).toEqual([32, 2])
    const [write] = turn.writes
    expect(write).toMatchObject({ type: 'checkpoint-attested', index: 32 })
    const { signatures, ...said } = decodeAttestedCheckpoint((write as { bytes: Uint8Array }).bytes, 4)
    expect(signatures.map(({ signer }) => signer)).toEqual([0, 1, 2])
    expect(by(0, said)).toEqual(signed)
    expect(reasonsIn(node.takes(by(3, signed)))).toEqual([])
    expect(node.keys.verified).toBe(2)
    expect(node.checkpointer.status.checkpointClaims).toBe(0)
  })

  test('by stake', () => {
    const rich = new Node(0, { stakes: [1, 1, 1, 4] })
    const [checkpoint] = signedIn(rich.order(32))
    rich.takes(by(1, checkpoint!))
    rich.takes(by(2, checkpoint!))
    expect(rich.attested).toBe(0)
    rich.takes(by(3, checkpoint!))
    expect(rich.attested).toBe(32)
  })

  test('not by one that is not valid, which does not keep a valid one from counting', () => {
    node.takes(forged(by(1, signed)))
    const turn = node.takes(by(2, signed))
    expect([node.attested, reasonsIn(turn)]).toEqual([0, ['signature-invalid']])
    expect(turn.refusals[0]!.from).toBe(1)
    node.takes(by(1, signed))
    expect(node.attested).toBe(32)
  })

  test('not by one signer over and over, and not by what one says in the name of another', () => {
    for (let n = 0; n < 5; n += 1) node.takes(by(1, signed))
    expect(reasonsIn(node.takes(by(2, signed), 1))).toEqual(['sender-other'])
    expect(node.attested).toBe(0)
  })

  test('by signatures that came before ours', () => {
    const late = new Node(3)
    for (const signer of [1, 2]) late.takes(by(signer, signed))
    expect(late.attested).toBe(0)
    late.order(32)
    expect(late.attested).toBe(32)
  })

  test('by a quorum of others, when we are behind', () => {
    const behind = new Node(3)
    for (const signer of [0, 1, 2]) behind.takes(by(signer, signed))
    expect(behind.attested).toBe(32)
    // What is attested already is not signed any more.
    expect(signedIn(behind.order(32))).toEqual([])
  })

  test('by the record of one, from whomever, once', () => {
    const signatures = [1, 2, 3].map((signer) => by(signer, signed))
    const bytes = encodeAttestedCheckpoint({ ...signed, signatures })
    const take = (to: Node, record: Uint8Array): Turn => to.turn((turn) => to.checkpointer.certificate(1, record, turn))
    const few = encodeAttestedCheckpoint({ ...signed, signatures: signatures.slice(1) })
    expect(reasonsIn(take(node, few))).toEqual(['checkpoint-without-quorum'])
    const wrong = encodeAttestedCheckpoint({ ...signed, signatures: signatures.map(forged) })
    expect(reasonsIn(take(node, wrong))).toEqual(['signature-invalid'])
    expect(node.attested).toBe(0)
    take(node, bytes)
    expect(node.attested).toBe(32)
    expect(reasonsIn(take(node, bytes))).toEqual(['checkpoint-old'])
  })

  test('and is still after a restart, and is what a peer gets that asks', () => {
    for (const signer of [1, 2]) node.takes(by(signer, signed))
    const again = new Node(0, { store: node.store })
    expect(again.attested).toBe(32)
    const find = (index: number): Uint8Array | undefined => again.store.checkpoint(index)
    const bytes = node.store.checkpoint(32)!
    for (const index of [0, 5, 32]) expect(again.checkpointer.answer(index, find)).toEqual(bytes)
    expect(again.checkpointer.answer(33, find)).toBeUndefined()
    const [next] = signedIn(again.order(64))
    expect(decodeSignedCheckpoint(again.checkpointer.answer(64, find)!, 4)).toEqual(next)
  })
})

describe('what was lost', () => {
  test('is sent again, and asked for, of those whose signature is missing, until there is a quorum', () => {
    const [signed] = signedIn(node.order(32))
    node.takes(by(1, signed!))
    expect(node.wait(CHECKPOINT_RETRY_MS - 1).sends).toEqual([])
    for (let n = 0; n < 3; n += 1) {
      const turn = node.wait(n === 0 ? 1 : CHECKPOINT_RETRY_MS)
      expect(requestsIn(turn)).toEqual([
        [2, 32],
        [3, 32],
      ])
      expect(signedIn(turn)).toEqual([signed, signed])
    }
    node.takes(by(2, signed!))
    expect(node.wait(2 * CHECKPOINT_RETRY_MS).sends).toEqual([])
    expect(node.checkpointer.wakeAtMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('goes to a peer that is there again, also after a restart', () => {
    const [signed] = signedIn(node.order(32))
    for (const each of [node, new Node(0, { store: node.store })]) {
      expect(signedIn(each.turn((turn) => each.checkpointer.connected(2, turn)))).toEqual([signed])
    }
  })

  test('is the latest attested one, for who hears an honest one speak of commits far above', () => {
    const far = (signer: number): SignedCheckpoint =>
      by(signer, { epoch: 0, index: 3 * CHECKPOINT_INTERVAL, rule: RULE, root: RULE, state: RULE })
    node.takes(far(1))
    expect(node.wait(2 * CHECKPOINT_RETRY_MS).sends).toEqual([])
    node.takes(far(2))
    const asked = [1, 2, 3].map(() => requestsIn(node.wait(CHECKPOINT_RETRY_MS)))
    expect(asked).toEqual([[[1, 0]], [[2, 0]], [[3, 0]]])
  })
})

describe('one that says something else', () => {
  let signed: SignedCheckpoint
  beforeEach(() => {
    signed = signedIn(node.order(32))[0]!
  })

  test.each(['root', 'state', 'rule'] as const)('by its %s is found, counted, and stops nobody', (name) => {
    const turn = node.takes(by(3, signed, { [name]: OTHER.root }))
    expect([differsIn(turn), turn.stopped]).toEqual([[3], undefined])
    expect(node.checkpointer.status.checkpointsDiffering).toBe(1)
    // Ours alone convicts nobody.
    expect(convictedBy(turn)).toEqual([])
    const turns = [1, 2].map((signer) => node.takes(by(signer, signed)))
    expect(node.attested).toBe(32)
    expect(turns.flatMap(convictedBy)).toEqual([[3]])
  })

  test('is found before ours is there, and after it is attested', () => {
    const late = new Node(1)
    late.takes(by(3, signed, OTHER))
    expect(differsIn(late.order(32))).toEqual([3])
    for (const signer of [1, 2]) node.takes(by(signer, signed))
    const turn = node.takes(by(3, signed, OTHER))
    expect([differsIn(turn), convictedBy(turn)]).toEqual([[3], [[3]]])
    expect(convictedBy(node.takes(by(3, signed, OTHER)))).toEqual([])
  })

  test('counts for nothing when its signature is not valid', () => {
    const turn = node.takes(forged(by(3, signed, OTHER)))
    expect([differsIn(turn), reasonsIn(turn)]).toEqual([[], ['signature-invalid']])
    expect(node.checkpointer.status).toMatchObject({ checkpointsDiffering: 0, checkpointClaims: 0 })
  })

  test('is found by itself when it signs two, of a commit that is not here yet as well', () => {
    const ahead = { ...signed, index: 64 }
    node.takes(by(3, ahead))
    const turn = node.takes(by(3, ahead, OTHER))
    expect([differsIn(turn), reasonsIn(turn), convictedBy(turn)]).toEqual([[3], ['checkpoint-second'], [[3]]])
    expect(reasonsIn(node.takes(forged(by(3, ahead, { state: RULE }))))).toEqual(['signature-invalid'])
  })

  test('is none when the first of the two is not signed by it', () => {
    const ahead = { ...signed, index: 64 }
    node.takes(forged(by(3, ahead, OTHER)))
    const turn = node.takes(by(3, ahead))
    expect([differsIn(turn), reasonsIn(turn), convictedBy(turn)]).toEqual([[], ['signature-invalid'], []])
    // The true one counts.
    for (const signer of [1, 2]) node.takes(by(signer, ahead))
    expect(node.attested).toBe(64)
  })

  test('for ever fills neither the log nor the memory', () => {
    let said = 0
    for (let index = 100; index < 200; index += 1) {
      node.takes(by(3, { ...signed, index }))
      said += differsIn(node.takes(by(3, { ...signed, index }, OTHER))).length
    }
    expect(said).toBe(DIFFERING_SAID_MAX)
    expect(node.checkpointer.status).toMatchObject({
      checkpointsDiffering: 100,
      checkpointClaims: CHECKPOINT_CLAIMS_PER_PEER,
    })
    for (const signer of [1, 2]) node.takes(by(signer, signed))
    expect(node.attested).toBe(32)
  })

  test('stops the order when such have the stake of the validity threshold, and not before', () => {
    expect(node.takes(by(3, signed, OTHER)).stopped).toBeUndefined()
    // The same one again is no second one.
    expect(node.takes(by(3, signed, OTHER)).stopped).toBeUndefined()
    const turn = node.takes(by(2, signed, { state: OTHER.root }))
    expect(turn.stopped).toMatchObject({ code: 'ERR_FORK' })
    expect(turn.stopped!.message).toMatch(/authorities 2, 3, with stake 2 of 4/)
  })

  test('stops it by stake', () => {
    const stakes = [1, 1, 1, 4]
    const rich = new Node(0, { stakes })
    const [checkpoint] = signedIn(rich.order(32))
    expect(rich.takes(by(1, checkpoint!, OTHER)).stopped).toBeUndefined()
    expect(rich.takes(by(3, checkpoint!, OTHER)).stopped).toMatchObject({ code: 'ERR_FORK' })
  })

  test('stops it when a quorum had attested another one before we came there', () => {
    const behind = new Node(1)
    for (const signer of [0, 2, 3]) behind.takes(by(signer, signed, OTHER))
    expect(behind.attested).toBe(32)
    expect(behind.order(32).stopped).toMatchObject({ code: 'ERR_FORK' })
  })
})
