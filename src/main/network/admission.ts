/**
 * Which connections that came in may stay until they have said who they are. Pure: time is handed in, and sockets are
 * somebody else's.
 *
 * ```
 *  silent ──first bytes──▶ handshake ──noise is done──▶ hello ──good hello──▶ verified, and no concern of this
 *                                          └─ by a known member's key: member ─┘
 * ```
 *
 * Each stage has places of its own, so that connections that say nothing take none from those that go on. A newcomer
 * always gets a place. If none is free, one source loses its oldest connection: the source that holds the most places,
 * without those that are its due. A source at which the committee has members has such places. They do not count as the
 * strangers' places, so nobody elsewhere can take them. Where strangers and members share an address, connections that
 * go on to the next stage outlive those that do not. A connection that has proved a known member's key takes no place
 * of these, and loses its own only to newer connections of the same member.
 */
import { isIP } from 'node:net'
import { sourceOf } from '../../shared/wire/source-address.js'
import {
  HELLO_TIMEOUT_MS,
  MEMBER_PLACES,
  MEMBER_SOURCES_MAX,
  SOURCE_PLACES_MAX,
  STRANGER_PLACES_MAX,
} from './limits.js'

export const STAGES = ['silent', 'handshake', 'hello'] as const
export type Stage = (typeof STAGES)[number]

/** A connection that came in. */
export interface Ticket {
  readonly source: string
  readonly arrivedMs: number
  /** `left` has no place any more: verified, evicted or gone. */
  stage: Stage | 'member' | 'left'
}

/** A connection that has lost its place, and how far it had come. */
export interface Evicted {
  readonly ticket: Ticket
  readonly stage: Stage | 'member'
}

export interface AdmissionOptions {
  /** Hosts of the committee file, each with the index of its authority; of a name nothing is known before `relist`. */
  readonly members: readonly { readonly index: number; readonly host: string }[]
  readonly strangerPlaces?: number
  readonly sourcePlaces?: number
  readonly timeoutMs?: number
}

/** The connections of one stage, by source; of each source the oldest comes first. */
type Places = Map<string, Set<Ticket>>

export class Admission {
  private readonly strangerPlaces: number
  private readonly sourcePlaces: number
  private readonly timeoutMs: number
  private readonly stages: Readonly<Record<Stage, Places>> = {
    silent: new Map(),
    handshake: new Map(),
    hello: new Map(),
  }
  /** Connections that proved a member's key, by the member's index. */
  private readonly proved = new Map<number, Set<Ticket>>()
  /** All that have a place, the oldest first. */
  private readonly all = new Set<Ticket>()
  /** Sources of each member: the committee file's, and those where it was verified, the newest last. */
  private readonly sources = new Map<number, { listed: readonly string[]; readonly learned: string[] }>()
  /** Places that a source has for its members, in each stage. */
  private kept = new Map<string, number>()

  constructor(options: AdmissionOptions) {
    this.strangerPlaces = options.strangerPlaces ?? STRANGER_PLACES_MAX
    this.sourcePlaces = options.sourcePlaces ?? SOURCE_PLACES_MAX
    this.timeoutMs = options.timeoutMs ?? HELLO_TIMEOUT_MS
    for (const { host, index } of options.members) this.sources.set(index, { listed: listed([host]), learned: [] })
    this.countKept()
  }

  /** The host that the committee file has for a member is a name, and these are its addresses now. */
  relist(member: number, hosts: readonly string[]): void {
    const sources = this.sources.get(member)
    if (sources !== undefined) sources.listed = listed(hosts)
    this.countKept()
  }

  get size(): number {
    return this.all.size
  }

  /** A connection came in from this host. It has a place; whoever lost one for it is returned, if anybody did. */
  arrive(host: string, nowMs: number): { readonly ticket: Ticket; readonly evicted: Evicted | undefined } {
    const ticket: Ticket = { source: sourceOf(host), arrivedMs: nowMs, stage: 'silent' }
    this.all.add(ticket)
    return { ticket, evicted: this.enter(ticket, 'silent') }
  }

  /** It has gone on to the next stage. Whoever lost a place for it is returned. */
  advance(ticket: Ticket, stage: Stage): Evicted | undefined {
    if (ticket.stage === 'left') return undefined
    this.vacate(ticket)
    return this.enter(ticket, stage)
  }

  /** It has proved the key of a member: its hello is expected. An older one of that member's may lose its place. */
  prove(ticket: Ticket, member: number): Evicted | undefined {
    if (ticket.stage === 'left') return undefined
    this.vacate(ticket)
    ticket.stage = 'member'
    const places = this.proved.get(member) ?? new Set()
    this.proved.set(member, places.add(ticket))
    return places.size > MEMBER_PLACES ? this.evict(places) : undefined
  }

  /** Its hello was good: it needs no place any more, and its source is the member's from now on. */
  verify(ticket: Ticket, member: number): void {
    this.leave(ticket)
    const sources = this.sources.get(member)
    if (sources === undefined || sources.listed.includes(ticket.source) || sources.learned.at(-1) === ticket.source)
      return
    const { learned } = sources
    const at = learned.indexOf(ticket.source)
    if (at !== -1) learned.splice(at, 1)
    learned.push(ticket.source)
    if (learned.length > MEMBER_SOURCES_MAX) learned.shift()
    this.countKept()
  }

  /** It is gone, or is not to be counted any more. */
  leave(ticket: Ticket): void {
    this.vacate(ticket)
    ticket.stage = 'left'
    this.all.delete(ticket)
  }

  /** Those whose time for a hello is over, the oldest first. They keep their places until they leave. */
  overdue(nowMs: number): Ticket[] {
    const found: Ticket[] = []
    for (const ticket of this.all) {
      if (nowMs - ticket.arrivedMs < this.timeoutMs) break
      found.push(ticket)
    }
    return found
  }

  /** Gives it a place in a stage; the oldest of whoever holds too many loses its own. */
  private enter(ticket: Ticket, stage: Stage): Evicted | undefined {
    ticket.stage = stage
    const places = this.stages[stage]
    const own = places.get(ticket.source) ?? new Set()
    places.set(ticket.source, own.add(ticket))
    if (this.beyond(ticket.source, own) > this.sourcePlaces) return this.evict(own)
    return this.evictHoarder(places)
  }

  /** If strangers hold more than their places, the oldest of the source that holds most of them loses its own. */
  private evictHoarder(places: Places): Evicted | undefined {
    let taken = 0
    let hoarder: Set<Ticket> | undefined
    let most = 0
    for (const [source, held] of places) {
      const beyond = this.beyond(source, held)
      taken += beyond
      if (beyond < most || beyond === 0) continue
      if (beyond === most && oldest(held).arrivedMs >= oldest(hoarder!).arrivedMs) continue
      most = beyond
      hoarder = held
    }
    return taken > this.strangerPlaces ? this.evict(hoarder!) : undefined
  }

  /** How many of the strangers' places a source holds. */
  private beyond(source: string, held: ReadonlySet<Ticket>): number {
    return Math.max(0, held.size - (this.kept.get(source) ?? 0))
  }

  private evict(places: ReadonlySet<Ticket>): Evicted {
    const ticket = oldest(places)
    const stage = ticket.stage as Evicted['stage']
    this.leave(ticket)
    return { ticket, stage }
  }

  private vacate(ticket: Ticket): void {
    const { source, stage } = ticket
    if (stage === 'member') {
      for (const places of this.proved.values()) places.delete(ticket)
    } else if (stage !== 'left') {
      const held = this.stages[stage].get(source)
      held?.delete(ticket)
      if (held?.size === 0) this.stages[stage].delete(source)
    }
  }

  private countKept(): void {
    this.kept = new Map()
    for (const { learned, listed } of this.sources.values()) {
      for (const source of new Set([...listed, ...learned])) {
        this.kept.set(source, (this.kept.get(source) ?? 0) + MEMBER_PLACES)
      }
    }
  }
}

/** The sources of these hosts. A name is none. */
function listed(hosts: readonly string[]): string[] {
  return [...new Set(hosts.filter((host) => isIP(host) !== 0).map(sourceOf))]
}

function oldest(tickets: ReadonlySet<Ticket>): Ticket {
  return tickets.values().next().value!
}
