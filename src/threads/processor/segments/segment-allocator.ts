/**
 * Which cells of which segments are used. Pure: it knows numbers, and no files.
 *
 * ```
 *  empty ──▶ open ──▶ sealed ──▶ empty, or removed
 *            cells are handed    when nothing lies in it any more
 *            out in order
 * ```
 *
 * A segment is filled from its start to its end, once, and is filled again only when all of it is free. So what is
 * written together lies together, no free room is in small pieces, and what is deleted in the order of writing frees
 * whole segments. What stays behind in a segment is moved (mover.ts): `emptiest` says from where.
 *
 * When nothing is to be moved, there are at most SEGMENTS_PER_LIVE times the bytes that are in use, and
 * SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1 segments.
 */
import assert from 'node:assert'
import { type Cell, SEGMENT_UNITS, UNIT_BYTES } from '../../../shared/store/segments/cell.js'
import { SEGMENTS_PER_LIVE, SEGMENTS_SLACK, SEGMENTS_SPARE_MAX } from '../../../shared/store/segments/limits.js'

export class SegmentAllocator {
  /** Units in use, by segment: of the open one and the sealed ones. */
  private readonly live = new Map<number, number>()
  /** The segment that is being filled, and its first unit that was not handed out yet. */
  private open: { readonly segment: number; unit: number } | undefined
  private readonly empty: number[] = []
  private liveUnits = 0

  /** Segments that there are. */
  get count(): number {
    return this.live.size + this.empty.length
  }

  get liveBytes(): number {
    return this.liveUnits * UNIT_BYTES
  }

  /** Segments with something in them, and the one that is being filled. */
  get used(): Iterable<number> {
    return this.live.keys()
  }

  isInUse(segment: number): boolean {
    return this.live.has(segment)
  }

  /** A cell that the index names when the store is opened: its segment is sealed. */
  place({ segment, units }: Cell): void {
    this.live.set(segment, (this.live.get(segment) ?? 0) + units)
    this.liveUnits += units
  }

  /** A segment is there, and nothing lies in it. */
  add(segment: number): void {
    assert(!this.live.has(segment) && !this.empty.includes(segment), 'a segment is added once')
    this.empty.push(segment)
  }

  /** The next cell; undefined if there is no segment to take it from. */
  allocate(units: number): Cell | undefined {
    assert(units > 0 && units <= SEGMENT_UNITS)
    if (this.open !== undefined && this.open.unit + units > SEGMENT_UNITS) this.seal()
    if (this.open === undefined) {
      const segment = this.empty.shift()
      if (segment === undefined) return undefined
      this.open = { segment, unit: 0 }
      this.live.set(segment, 0)
    }
    const { segment, unit } = this.open
    this.open.unit += units
    this.live.set(segment, this.live.get(segment)! + units)
    this.liveUnits += units
    return { segment, unit, units }
  }

  /** A cell is free. Nobody reads it as what it was, on the disk either. */
  release({ segment, units }: Cell): void {
    const left = (this.live.get(segment) ?? -1) - units
    assert(left >= 0, 'no more is released than was in use')
    this.live.set(segment, left)
    this.liveUnits -= units
    if (left === 0 && this.open?.segment !== segment) this.becomeEmpty(segment)
  }

  /** Empty segments beyond those that are kept: their files are to be removed. It forgets them. */
  takeSurplus(): number[] {
    return this.empty.splice(SEGMENTS_SPARE_MAX)
  }

  /** The sealed segment with the least in it, none of `except`, if segments take too much for what lies in them. */
  emptiest(except: ReadonlySet<number>): number | undefined {
    let sealed = 0
    let liveUnits = 0
    let least: { segment: number; units: number } | undefined
    for (const [segment, units] of this.live) {
      if (segment === this.open?.segment) continue
      sealed += 1
      liveUnits += units
      if (!except.has(segment) && (least === undefined || units < least.units)) least = { segment, units }
    }
    const allowed = liveUnits * SEGMENTS_PER_LIVE + SEGMENTS_SLACK * SEGMENT_UNITS
    return sealed * SEGMENT_UNITS > allowed ? least?.segment : undefined
  }

  private seal(): void {
    const { segment } = this.open!
    this.open = undefined
    if (this.live.get(segment) === 0) this.becomeEmpty(segment)
  }

  private becomeEmpty(segment: number): void {
    this.live.delete(segment)
    this.empty.push(segment)
  }
}
