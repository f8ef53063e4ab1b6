/** One primary, the authority with index 0, and what the others of its committee would send it. */
import { digestKey } from '../../src/shared/wire/digest-key.js'
import { genesisDigests } from '../../src/shared/wire/primary/genesis.js'
import {
  type BatchEntry,
  encodeHeader,
  headerSignatureMessage,
  type UnsignedHeader,
} from '../../src/shared/wire/primary/header.js'
import { headerId } from '../../src/shared/wire/primary/header-id.js'
import { compareBytes, kindOf, type RecordKind } from '../../src/shared/wire/primary/record.js'
import { decodeVote, encodeVote, type Vote, voteMessage } from '../../src/shared/wire/primary/vote.js'
import { Primary, type PrimaryOptions } from '../../src/threads/primary/primary.js'
import { type CertificateRecord, type HeaderRecord, Records } from '../../src/threads/primary/records.js'
import type { StoredState, Write } from '../../src/threads/primary/store/writes.js'
import type { PrimaryEvent, Turn } from '../../src/threads/primary/turn.js'
import { simulatedKeys } from './simulator/keys.js'
import { SimulatedStore } from './simulator/store.js'

export const DIGEST = new Uint8Array(32).fill(0xcc)
export const UNIX_MS = 1_790_000_000_000

export interface CommitteeOptions extends Partial<PrimaryOptions> {
  readonly state?: StoredState
  readonly store?: SimulatedStore
}

export function batchOf(author: number, sequence: number): BatchEntry {
  const digest = new Uint8Array(32).fill(author * 16 + 1)
  new DataView(digest.buffer).setUint32(0, sequence)
  return { digest, author, worker: 0, sequence: BigInt(sequence) }
}

export class PrimaryUnderTest {
  readonly keys = simulatedKeys(0)
  readonly records: Records
  readonly store: SimulatedStore
  readonly primary: Primary
  readonly turns: Turn[] = []
  readonly options: PrimaryOptions
  ms = 1000
  unixMs = UNIX_MS

  constructor({ state, store = new SimulatedStore(), ...options }: CommitteeOptions = {}) {
    const stakes = options.stakes ?? [1, 1, 1, 1]
    this.store = store
    this.records = new Records(DIGEST, stakes.length)
    this.options = {
      authority: 0,
      committeeDigest: DIGEST,
      stakes,
      workers: stakes.map(() => new Set([0])),
      rule: 'shoal',
      gcDepth: 10,
      maxHeaderDelayMs: 100,
      ...options,
    }
    this.primary = new Primary(this.options, { keys: this.keys, store, nonce: 7 }, state ?? store.state())
  }

  start(): Turn {
    const turn = this.take(this.primary.start({ ms: this.ms, unixMs: this.unixMs }))
    for (let peer = 1; peer < this.options.stakes.length; peer += 1) this.handle({ type: 'peer-connected', peer })
    return turn
  }

  handle(event: PrimaryEvent): Turn {
    return this.take(this.primary.handle(event, { ms: this.ms, unixMs: this.unixMs }))
  }

  receive(from: number, record: Uint8Array | { readonly bytes: Uint8Array }): Turn {
    return this.handle({ type: 'message', from, bytes: record instanceof Uint8Array ? record : record.bytes })
  }

  /** Lets time go by, and wakes the primary. */
  wait(ms: number): Turn {
    this.ms += ms
    this.unixMs += ms
    return this.handle({ type: 'timer' })
  }

  /** A header of another authority. Parents are genesis, unless they are said. */
  header(author: number, round: number, more: Partial<UnsignedHeader> & { by?: Uint8Array } = {}): HeaderRecord {
    const { by: digest = DIGEST, ...fields } = more
    const genesis = genesisDigests(DIGEST, 0, this.options.stakes.length)
    const parents = [...(fields.parents ?? genesis)].sort(compareBytes)
    const unsigned = { author, epoch: 0, round, createdAt: this.unixMs, payload: [], ...fields, parents }
    const signature = simulatedKeys(author).sign(headerSignatureMessage(headerId(digest, unsigned)))
    return this.records.readHeader(encodeHeader({ ...unsigned, signature }))
  }

  vote(voter: number, header: HeaderRecord, digest = DIGEST): Vote {
    const { author, round, idBytes: headerId } = header
    const voted = { author, round, headerId, epoch: 0 }
    return { ...voted, voter, signature: simulatedKeys(voter).sign(voteMessage(digest, voted)) }
  }

  certificate(header: HeaderRecord, voters: readonly number[] = [1, 2, 3]): CertificateRecord {
    return this.records.certificate(
      header,
      voters.map((voter) => this.vote(voter, header)),
    )
  }

  /** Certificates of a round by the others, with all of these as parents. */
  round(
    round: number,
    parents?: readonly CertificateRecord[],
    authors: readonly number[] = [1, 2, 3],
  ): CertificateRecord[] {
    return authors.map((author) =>
      this.certificate(this.header(author, round, parents && { parents: parents.map(({ header }) => header.idBytes) })),
    )
  }

  /** All turns so far, together, and begins anew. */
  drain(): Turn[] {
    return this.turns.splice(0)
  }

  private take(turn: Turn): Turn {
    this.turns.push(turn)
    this.store.apply(turn.writes)
    return turn
  }
}

export function sent(
  turns: Turn | readonly Turn[],
  kind: RecordKind,
): { to: number | 'all'; bytes: Uint8Array; afterDurable: boolean }[] {
  return [turns].flat().flatMap(({ sends }) => sends.filter(({ bytes }) => kindOf(bytes) === kind))
}

export function written<T extends Write['type']>(
  turns: Turn | readonly Turn[],
  type: T,
): Extract<Write, { type: T }>[] {
  return [turns]
    .flat()
    .flatMap(({ writes }) => writes.filter((write): write is Extract<Write, { type: T }> => write.type === type))
}

export function refused(turns: Turn | readonly Turn[]): string[] {
  return [turns].flat().flatMap(({ refusals }) => refusals.map(({ reason }) => reason))
}

export function votesIn(turns: Turn | readonly Turn[]): string[] {
  return sent(turns, 'vote').map(({ bytes }) => digestKey(decodeVote(bytes, 256).headerId))
}

export { encodeVote }
