/** What authorities do that lie. They run the product's primary, and what leaves it is changed. */
import { digestKey } from '../../../src/shared/wire/digest-key.js'
import { decodeCertificate, encodeCertificate } from '../../../src/shared/wire/primary/certificate.js'
import {
  checkpointMessage,
  decodeSignedCheckpoint,
  encodeSignedCheckpoint,
} from '../../../src/shared/wire/primary/checkpoint.js'
import {
  type BatchEntry,
  compareEntries,
  decodeHeader,
  encodeHeader,
  headerSignatureMessage,
  type UnsignedHeader,
} from '../../../src/shared/wire/primary/header.js'
import { headerId } from '../../../src/shared/wire/primary/header-id.js'
import { HEADER_ADOPTED_MAX } from '../../../src/shared/wire/primary/limits.js'
import { kindOf } from '../../../src/shared/wire/primary/record.js'
import { type Vote, voteMessage } from '../../../src/shared/wire/primary/vote.js'
import type { Send } from '../../../src/threads/primary/turn.js'
import type { SimulatedNode } from './node.js'
import { COMMITTEE_DIGEST, type Simulation } from './simulation.js'
import { batchName } from './store.js'

export type Altered = readonly Send[]

const RUBBISH_EVERY_MS = 5

/** How the sends of this node are changed; undefined if they are not. */
export function alterations(
  simulation: Simulation,
  node: SimulatedNode,
): ((sends: readonly Send[]) => Altered) | undefined {
  switch (simulation.schedule.byzantine.get(node.index)) {
    case 'silent':
      return (sends) => {
        if (simulation.random() >= 0.7) return sends
        simulation.coverage.count('liar that silent', sends.length)
        return []
      }
    case 'equivocates':
      return (sends) => sends.flatMap((send) => equivocate(simulation, node, send))
    case 'lies-about-payload':
      return (sends) => sends.map((send) => lieAboutPayload(simulation, node, send))
    case 'claims':
      return (sends) => sends.map((send) => claim(simulation, node, send))
    case 'signs-other-checkpoints':
      return (sends) => sends.flatMap((send) => signOtherCheckpoint(simulation, node, send))
    case 'talks-rubbish': {
      let nextAtMs = 0
      return (sends) => {
        // What answers to rubbish must not breed more of it.
        if (simulation.clock.ms < nextAtMs) return sends
        nextAtMs = simulation.clock.ms + RUBBISH_EVERY_MS
        simulation.coverage.count('liar that talks-rubbish')
        return [...sends, ...rubbish(simulation, node, sends)]
      }
    }
    default:
      return undefined
  }
}

/** Each peer gets one of two headers of the round, or both. Votes for the second one are collected (`collectVote`). */
function equivocate(simulation: Simulation, node: SimulatedNode, send: Send): Send[] {
  if (kindOf(send.bytes) !== 'header') return [send]
  const header = decodeHeader(send.bytes, simulation.schedule.stakes.length)
  const second = sign(node, { ...header, createdAt: header.createdAt + 1 })
  simulation.coverage.count('liar that equivocates')
  return simulation.peersOf(node.index).flatMap((to) => {
    const choice = simulation.random()
    const first = { ...send, to }
    const other = { ...send, to, bytes: second }
    return choice < 0.5 ? [first] : choice < 0.8 ? [other] : choice < 0.9 ? [first, other] : [other, first]
  })
}

function lieAboutPayload(simulation: Simulation, node: SimulatedNode, send: Send): Send {
  if (kindOf(send.bytes) !== 'header' || simulation.random() < 0.5) return send
  const header = decodeHeader(send.bytes, simulation.schedule.stakes.length)
  simulation.coverage.count('liar that lies-about-payload')
  const digest = new Uint8Array(32).map(() => simulation.random() * 256)
  // A batch that does not exist, under a sequence that another one may have.
  const last = header.payload.at(-1)
  const entry = { digest, author: node.index, worker: 0, sequence: (last?.sequence ?? 0n) + 1n }
  const payload =
    simulation.random() < 0.5
      ? [...header.payload, entry]
      : [...header.payload.slice(0, -1), { ...entry, sequence: last?.sequence ?? 1n }]
  return { ...send, bytes: sign(node, { ...header, payload: payload.sort(compareEntries) }) }
}

/** What others have made, again and again; made up batches in the place of real ones, and of sequences that are far. */
function claim(simulation: Simulation, node: SimulatedNode, send: Send): Send {
  const { coverage, random, schedule, workers } = simulation
  if (kindOf(send.bytes) !== 'header' || random() < 0.3) return send
  const header = decodeHeader(send.bytes, schedule.stakes.length)
  const others = [...workers.certified.values()].filter(({ author }) => author !== node.index)
  const claims = new Map<string, BatchEntry>()
  for (
    let left = Math.floor(random() * random() * (HEADER_ADOPTED_MAX + 20));
    left > 0 && others.length > 0;
    left -= 1
  ) {
    // Mostly the newest, which may not be in the order yet.
    const real = others[others.length - 1 - Math.floor(random() * random() * others.length)]!
    const kind = random()
    const digest = kind < 0.4 ? real.digest : new Uint8Array(32).map(() => random() * 256)
    const sequence = kind < 0.8 ? real.sequence : real.sequence + BigInt(Math.floor(random() * 2 ** 40))
    claims.set(batchName({ ...real, sequence }), { ...real, digest, sequence })
  }
  if (claims.size > 0) coverage.count('liar that claims')
  const own = header.payload.filter(({ author }) => author === node.index)
  return { ...send, bytes: sign(node, { ...header, payload: [...own, ...claims.values()].sort(compareEntries) }) }
}

/** Each peer gets another root, another state, or now and then the truth, and some get two. */
function signOtherCheckpoint(simulation: Simulation, node: SimulatedNode, send: Send): Send[] {
  if (kindOf(send.bytes) !== 'signed-checkpoint') return [send]
  const checkpoint = decodeSignedCheckpoint(send.bytes, simulation.schedule.stakes.length)
  simulation.coverage.count('liar that signs-other-checkpoints')
  return simulation.peersOf(node.index).flatMap((to) => {
    const name = simulation.random() < 0.7 ? 'root' : 'state'
    const other = { ...checkpoint, [name]: new Uint8Array(32).map(() => simulation.random() * 256) }
    const signature = node.keys.sign(checkpointMessage(COMMITTEE_DIGEST, other))
    const lie = { ...send, to, bytes: encodeSignedCheckpoint({ ...other, signature }) }
    const choice = simulation.random()
    return choice < 0.8 ? [lie] : choice < 0.9 ? [{ ...send, to }, lie] : [{ ...send, to }]
  })
}

/** Changed, old and made up records. */
function rubbish(simulation: Simulation, node: SimulatedNode, sends: readonly Send[]): Send[] {
  const { random, heard } = simulation
  const made: Send[] = []
  const pick = sends[Math.floor(random() * sends.length)]
  if (pick !== undefined) {
    const bytes = Uint8Array.from(pick.bytes)
    bytes[Math.floor(random() * bytes.length)] = random() * 256
    made.push({ to: 'all', bytes, afterDurable: false })
  }
  const old = heard[Math.floor(random() * heard.length)]
  if (old !== undefined && random() < 0.3) made.push({ to: 'all', bytes: old, afterDurable: false })
  if (random() < 0.1) {
    const parents = [1, 2, 3].map((first) => new Uint8Array(32).fill(first + Math.floor(random() * 200)))
    const unique = [...new Map(parents.map((parent) => [digestKey(parent), parent])).values()].sort(Buffer.compare)
    const round = Math.floor(1 + random() * random() * 1e6)
    const header = { author: node.index, epoch: 0, round, createdAt: 0, parents: unique, payload: [] }
    made.push({ to: 'all', bytes: sign(node, header), afterDurable: false })
  }
  return made
}

function sign(node: SimulatedNode, header: UnsignedHeader): Uint8Array {
  const id = headerId(COMMITTEE_DIGEST, header)
  return encodeHeader({ ...header, signature: node.keys.sign(headerSignatureMessage(id)) })
}

/** Votes for headers that a liar's own primary does not know: with a quorum of them it has a second certificate. */
export class SecondCertificates {
  private readonly headers = new Map<string, Uint8Array>()
  private readonly votes = new Map<string, Map<number, Vote>>()
  private readonly node: SimulatedNode
  private readonly simulation: Simulation

  constructor(simulation: Simulation, node: SimulatedNode) {
    this.simulation = simulation
    this.node = node
  }

  sent(bytes: Uint8Array): void {
    if (kindOf(bytes) !== 'header') return
    const header = decodeHeader(bytes, this.simulation.schedule.stakes.length)
    if (header.author === this.node.index) this.headers.set(digestKey(headerId(COMMITTEE_DIGEST, header)), bytes)
  }

  /** @returns the certificate, when this vote makes a quorum for a header */
  voted(vote: Vote): Uint8Array | undefined {
    const { stakes } = this.simulation.schedule
    const key = digestKey(vote.headerId)
    const bytes = this.headers.get(key)
    if (bytes === undefined) return undefined
    const votes = this.votes.get(key) ?? new Map<number, Vote>()
    this.votes.set(key, votes)
    votes.set(vote.voter, vote)
    votes.set(this.node.index, {
      ...vote,
      voter: this.node.index,
      signature: this.node.keys.sign(voteMessage(COMMITTEE_DIGEST, vote)),
    })
    const stake = [...votes.keys()].reduce((sum, voter) => sum + stakes[voter]!, 0)
    const total = stakes.reduce((sum, each) => sum + each, 0)
    if (stake < Math.floor((2 * total) / 3) + 1) return undefined
    this.headers.delete(key)
    const certificate = encodeCertificate({
      header: decodeHeader(bytes, stakes.length),
      votes: [...votes.values()].sort((a, b) => a.voter - b.voter),
    })
    decodeCertificate(certificate, stakes.length)
    return certificate
  }
}
