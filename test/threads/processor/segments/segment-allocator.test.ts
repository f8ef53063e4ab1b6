import { AssertionError } from 'node:assert'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_SIZE_MAX } from '../../../../src/shared/constants.js'
import {
  type Cell,
  cellOf,
  placeOf,
  SEGMENT_UNITS,
  UNIT_BYTES,
  unitsOf,
} from '../../../../src/shared/store/segments/cell.js'
import {
  SEGMENT_BATCH_BYTES_MIN,
  SEGMENT_NUMBER_MAX,
  SEGMENTS_PER_LIVE,
  SEGMENTS_SLACK,
  SEGMENTS_SPARE_MAX,
} from '../../../../src/shared/store/segments/limits.js'
import { SegmentAllocator } from '../../../../src/threads/processor/segments/segment-allocator.js'

const UNITS_MAX = unitsOf(BATCH_SIZE_MAX)

/** An allocator with segments made as they are needed, and what it should know: every cell that is in use. */
class Model {
  readonly allocator = new SegmentAllocator()
  cells: Cell[] = []
  /** Those of cells that were released. */
  removed: number[] = []
  private next = 0

  allocate(units: number): Cell {
    let cell = this.allocator.allocate(units)
    if (cell === undefined) {
      this.allocator.add(this.next)
      this.next += 1
      cell = this.allocator.allocate(units)
    }
    this.cells.push(cell!)
    return cell!
  }

  release(index: number): void {
    const [cell] = this.cells.splice(index, 1)
    this.allocator.release(cell!)
    this.removed.push(...this.allocator.takeSurplus())
  }

  /** As the mover does, without a disk. */
  move(): number {
    let moves = 0
    const none = new Set<number>()
    for (let from = this.allocator.emptiest(none); from !== undefined; from = this.allocator.emptiest(none)) {
      const index = this.cells.findIndex(({ segment }) => segment === from)
      expect(index, 'something lies in the segment that is to be emptied').not.toBe(-1)
      this.allocate(this.cells[index]!.units)
      this.release(index)
      moves += 1
    }
    return moves
  }

  get liveUnits(): number {
    return this.cells.reduce((sum, { units }) => sum + units, 0)
  }

  check(): void {
    const bySegment = new Map<number, Cell[]>()
    for (const cell of this.cells) bySegment.set(cell.segment, [...(bySegment.get(cell.segment) ?? []), cell])
    for (const [segment, cells] of bySegment) {
      expect(this.removed, 'a segment in use is not removed').not.toContain(segment)
      let end = 0
      for (const { unit, units } of cells.sort((a, b) => a.unit - b.unit)) {
        expect(unit, 'no two cells overlap').toBeGreaterThanOrEqual(end)
        end = unit + units
      }
      expect(end).toBeLessThanOrEqual(SEGMENT_UNITS)
    }
    expect(this.allocator.liveBytes).toBe(this.liveUnits * UNIT_BYTES)
  }
}

const units = fc.oneof(
  fc.integer({ min: 1, max: UNITS_MAX }),
  fc.constant(UNITS_MAX),
  fc.integer({ min: 100, max: 400 }),
)
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ allocate: units }) },
    { weight: 2, arbitrary: fc.record({ release: fc.nat() }) },
    // In the order of writing, as retention does.
    { weight: 1, arbitrary: fc.record({ releaseOldest: fc.nat({ max: 20 }) }) },
  ),
  { maxLength: 300 },
)

describe('cells', () => {
  it('in use never overlap, whatever is allocated, released and moved, and the bound holds after each move', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const model = new Model()
        for (const step of list) {
          if ('allocate' in step) model.allocate(step.allocate)
          else if (model.cells.length > 0) {
            if ('release' in step) model.release(step.release % model.cells.length)
            else for (let n = 0; n < step.releaseOldest && model.cells.length > 0; n += 1) model.release(0)
          }
          model.check()
          model.move()
          model.check()
          const allowed =
            (SEGMENTS_PER_LIVE * model.liveUnits) / SEGMENT_UNITS + SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1
          expect(model.allocator.count).toBeLessThanOrEqual(allowed)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('that are released in the order of writing are never moved', () => {
    const model = new Model()
    let moves = 0
    for (let n = 0; n < 5_000; n += 1) {
      model.allocate(123)
      if (n >= 1_000) model.release(0)
      moves += model.move()
    }
    expect(moves).toBe(0)
    // 1,000 of 123 units each are seven and a half segments.
    expect(model.allocator.count).toBeLessThanOrEqual(8 + SEGMENTS_SPARE_MAX + 1)
  })

  it('of which one stays in each segment are moved together, at little cost', () => {
    const model = new Model()
    const perSegment = Math.floor(SEGMENT_UNITS / 128)
    for (let n = 0; n < 40 * perSegment; n += 1) model.allocate(128)
    const going = model.cells.filter(({ unit }) => unit !== 0)
    for (const cell of going) model.release(model.cells.indexOf(cell))
    expect(model.allocator.count).toBe(40)
    expect(model.move()).toBeLessThanOrEqual(40)
    model.check()
    expect(model.allocator.count).toBeLessThanOrEqual(2 + SEGMENTS_SLACK + SEGMENTS_SPARE_MAX + 1)
  })

  it('of a segment are handed out again only when all of it is free', () => {
    const allocator = new SegmentAllocator()
    allocator.add(0)
    const first = allocator.allocate(SEGMENT_UNITS - 10)!
    const second = allocator.allocate(10)!
    expect(allocator.allocate(1)).toBeUndefined()
    allocator.release(first)
    expect(allocator.allocate(1)).toBeUndefined()
    allocator.release(second)
    expect(allocator.allocate(SEGMENT_UNITS)).toEqual({ segment: 0, unit: 0, units: SEGMENT_UNITS })
  })

  it('that the index names when a store is opened are in use, and what is behind them in their segment is not filled', () => {
    const allocator = new SegmentAllocator()
    const placed = { segment: 7, unit: 5, units: 20 }
    allocator.place(placed)
    allocator.add(8)
    expect(allocator.allocate(1)).toMatchObject({ segment: 8 })
    allocator.release(placed)
    allocator.allocate(SEGMENT_UNITS)
    expect(allocator.allocate(1)).toBeUndefined()
  })

  it('that were not in use are not released: that would be our own bug', () => {
    const allocator = new SegmentAllocator()
    allocator.add(0)
    const cell = allocator.allocate(3)!
    allocator.release(cell)
    expect(() => allocator.release(cell)).toThrow(AssertionError)
    expect(() => allocator.release({ segment: 4, unit: 0, units: 1 })).toThrow(AssertionError)
  })
})

describe('the place of a cell', () => {
  const cells = fc.record({
    segment: fc.integer({ min: 0, max: SEGMENT_NUMBER_MAX }),
    unit: fc.integer({ min: 0, max: SEGMENT_UNITS - UNITS_MAX }),
  })
  it('is read as it was written, sorts as the cells do, and is no stamp', () => {
    fc.assert(
      fc.property(
        cells,
        cells,
        fc.integer({ min: SEGMENT_BATCH_BYTES_MIN, max: BATCH_SIZE_MAX }),
        (a, b, byteLength) => {
          expect(cellOf(placeOf(a), byteLength)).toEqual({ ...a, units: Math.ceil(byteLength / UNIT_BYTES) })
          const order = a.segment - b.segment || a.unit - b.unit
          expect(placeOf(a) < placeOf(b)).toBe(order < 0)
          expect(placeOf(a)).toBeGreaterThan(2n ** 62n)
        },
      ),
    )
    expect(cellOf(2n ** 40n, 1_000_000)).toBeUndefined()
  })

  it.each([
    ['ends behind its segment', placeOf({ segment: 1, unit: SEGMENT_UNITS - 3 }), 4 * UNIT_BYTES],
    ['is empty', placeOf({ segment: 1, unit: 0 }), 0],
    ['has a segment that there cannot be', placeOf({ segment: SEGMENT_NUMBER_MAX + 1, unit: 0 }), 20_000],
  ])('of one that %s is damage', (_, place, byteLength) => {
    expect(() => cellOf(place, byteLength)).toThrow(expect.objectContaining({ code: 'ERR_STORE_DAMAGED' }))
  })
})
