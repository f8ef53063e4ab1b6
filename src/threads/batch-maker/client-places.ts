/**
 * ClientPlaces: which client has one of the places of the clients' port, and who leaves when all are taken.
 *
 * While there are free places everybody gets one. When there are none, a newcomer gets one from
 * 1. the source that has the most, if the newcomer's source has less than that even with the new place: that one of its
 *    connections leaves which has sent nothing yet, the oldest first, or else the one that has rested longest;
 * 2. a connection that is mute or has rested for long, of its own source, or of one that has more places than its own;
 * 3. nobody: it is refused.
 * So a source that opens many connections loses them to those that open few, and two sources never take places from each
 * other in turn. Who waits for us, with whole transactions that we have not taken yet, keeps its place.
 *
 * Pure: clients are names, and the clock is handed in.
 */
import assert from 'node:assert'

export interface ClientPlacesOptions {
  readonly placesMax: number
  /** See CLIENT_MUTE_MS. */
  readonly muteMs: number
  /** See CLIENT_RESTING_MS. */
  readonly restingMs: number
  /** See CLIENT_SOURCES_LOOKED_AT. */
  readonly sourcesLookedAt: number
}

interface Source<C> {
  readonly name: string
  /** All its places, those that are held too. */
  count: number
  /** Those that have sent no transaction, in the order in which they came. */
  readonly mute: Set<Place<C>>
  /** Those that have, by when they last did; the one that rests longest is the first. */
  readonly speaking: Set<Place<C>>
}

interface Place<C> {
  readonly client: C
  readonly source: Source<C>
  /** When it came, or last sent a transaction. */
  sinceMs: number
  hasSpoken: boolean
  isHeld: boolean
}

export type Entry<C> =
  | { readonly admitted: false }
  | { readonly admitted: true }
  /** Somebody has left for it, and is to be closed. */
  | { readonly admitted: true; readonly evicted: C; readonly why: 'source-share' | 'at-rest' }

/** A client that sends all the time moves to the end of its source's order at most once in so many ms. */
const MOVE_MS = 1_000

export class ClientPlaces<C> {
  private readonly options: ClientPlacesOptions
  private readonly places = new Map<C, Place<C>>()
  private readonly sources = new Map<string, Source<C>>()
  /** The sources by how many places they have, so that the largest is found without a search. */
  private readonly byCount = new Map<number, Set<Source<C>>>()
  private countMax = 0

  constructor(options: ClientPlacesOptions) {
    this.options = options
  }

  get size(): number {
    return this.places.size
  }

  /** A client of `source` has come. */
  enter(client: C, sourceName: string, nowMs: number): Entry<C> {
    assert(!this.places.has(client), 'a client comes once')
    if (this.places.size < this.options.placesMax) {
      this.add(client, sourceName, nowMs)
      return { admitted: true }
    }
    const ofHoarder = this.placeOfHoarder(sourceName)
    const victim = ofHoarder ?? this.placeAtRest(sourceName, nowMs)
    if (victim === undefined) return { admitted: false }
    this.leave(victim.client)
    this.add(client, sourceName, nowMs)
    return { admitted: true, evicted: victim.client, why: ofHoarder === undefined ? 'at-rest' : 'source-share' }
  }

  /** The client has sent at least one whole transaction. */
  spoke(client: C, nowMs: number): void {
    const place = this.places.get(client)
    if (place === undefined || (place.hasSpoken && nowMs - place.sinceMs < MOVE_MS)) return
    this.withdraw(place)
    place.hasSpoken = true
    place.sinceMs = nowMs
    this.offer(place)
  }

  /** The client waits for us: until `release` its place is not given away. */
  hold(client: C): void {
    const place = this.places.get(client)
    if (place === undefined || place.isHeld) return
    this.withdraw(place)
    place.isHeld = true
  }

  /** It does not wait any more. The time that it waited was not a rest. */
  release(client: C, nowMs: number): void {
    const place = this.places.get(client)
    if (place === undefined || !place.isHeld) return
    place.isHeld = false
    place.sinceMs = nowMs
    this.offer(place)
  }

  leave(client: C): void {
    const place = this.places.get(client)
    if (place === undefined) return
    this.places.delete(client)
    this.withdraw(place)
    this.count(place.source, -1)
  }

  /** Places that a source has now. */
  placesOf(sourceName: string): number {
    return this.sources.get(sourceName)?.count ?? 0
  }

  private placeOfHoarder(newcomer: string): Place<C> | undefined {
    if (this.placesOf(newcomer) + 1 >= this.countMax) return undefined
    let left = this.options.sourcesLookedAt
    for (const source of this.byCount.get(this.countMax)!) {
      if (left-- === 0) break
      const place = first(source.mute) ?? first(source.speaking)
      if (place !== undefined) return place
    }
    return undefined
  }

  private placeAtRest(newcomer: string, nowMs: number): Place<C> | undefined {
    const own = this.sources.get(newcomer)
    const ofOwn = own === undefined ? undefined : this.restingOf(own, nowMs)
    if (ofOwn !== undefined || this.countMax <= this.placesOf(newcomer)) return ofOwn
    const largest = this.byCount.get(this.countMax)!
    let left = Math.min(this.options.sourcesLookedAt, largest.size)
    for (const source of largest) {
      if (left-- === 0) break
      const place = this.restingOf(source, nowMs)
      if (place !== undefined) return place
      // The next search begins with others.
      largest.delete(source)
      largest.add(source)
    }
    return undefined
  }

  private restingOf(source: Source<C>, nowMs: number): Place<C> | undefined {
    const mute = first(source.mute)
    if (mute !== undefined && nowMs - mute.sinceMs >= this.options.muteMs) return mute
    const speaking = first(source.speaking)
    if (speaking !== undefined && nowMs - speaking.sinceMs >= this.options.restingMs) return speaking
    return undefined
  }

  private add(client: C, sourceName: string, nowMs: number): void {
    let source = this.sources.get(sourceName)
    if (source === undefined) {
      source = { name: sourceName, count: 0, mute: new Set(), speaking: new Set() }
      this.sources.set(sourceName, source)
    }
    const place = { client, source, sinceMs: nowMs, hasSpoken: false, isHeld: false }
    this.places.set(client, place)
    this.offer(place)
    this.count(source, 1)
  }

  /** Puts a place among those of its source that may be given to others. */
  private offer(place: Place<C>): void {
    const { mute, speaking } = place.source
    if (place.hasSpoken) speaking.add(place)
    else mute.add(place)
  }

  private withdraw(place: Place<C>): void {
    place.source.mute.delete(place)
    place.source.speaking.delete(place)
  }

  private count(source: Source<C>, change: 1 | -1): void {
    const before = this.byCount.get(source.count)
    before?.delete(source)
    if (before?.size === 0) this.byCount.delete(source.count)
    source.count += change
    if (source.count === 0) this.sources.delete(source.name)
    else {
      const alike = this.byCount.get(source.count) ?? new Set()
      this.byCount.set(source.count, alike.add(source))
    }
    if (source.count > this.countMax) this.countMax = source.count
    // A source that had the most has one less now, and nobody more.
    else if (!this.byCount.has(this.countMax)) this.countMax = source.count
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const element of set) return element
  return undefined
}
