/**
 * Places that are divided by source: connections, and readers of the stream. While there is room everybody gets one. When
 * there is none, a newcomer of a source that has fewer than the one with the most takes the newest place of that one; who
 * has the most itself is refused. So whoever hoards loses what it hoards, and nobody else anything. Pure.
 */
export interface Place {
  readonly source: string
  /** Its place is another's now. */
  readonly onEvicted: () => void
}

export class Places {
  private readonly max: number
  /** In the order in which they came. */
  private readonly bySource = new Map<string, Set<Place>>()
  private count = 0

  constructor(max: number) {
    this.max = max
  }

  get taken(): number {
    return this.count
  }

  /** Whether it has a place now; another may have lost it for that. */
  take(place: Place): boolean {
    if (this.count >= this.max) {
      const hoarder = this.hoarder()!
      const own = this.bySource.get(place.source)?.size ?? 0
      if (own + 1 >= hoarder.size) return false
      const evicted = [...hoarder].at(-1)!
      this.leave(evicted)
      evicted.onEvicted()
    }
    const places = this.bySource.get(place.source) ?? new Set()
    this.bySource.set(place.source, places)
    places.add(place)
    this.count += 1
    return true
  }

  /** Gives it back; of no effect a second time. */
  leave(place: Place): void {
    const places = this.bySource.get(place.source)
    if (places?.delete(place) !== true) return
    this.count -= 1
    if (places.size === 0) this.bySource.delete(place.source)
  }

  private hoarder(): Set<Place> | undefined {
    let most: Set<Place> | undefined
    for (const places of this.bySource.values()) if (places.size > (most?.size ?? 0)) most = places
    return most
  }
}
