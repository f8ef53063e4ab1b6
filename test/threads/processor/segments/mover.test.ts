import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Mover } from '../../../../src/threads/processor/segments/mover.js'

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

/** A mover over segments of which each has one batch, named by the segment. */
function moverOver(segments: number[], onListed: (segment: number) => void = () => {}) {
  const moved: number[] = []
  const mover: Mover = new Mover({
    emptiest: () => segments[0],
    listed: (segment) => {
      onListed(segment)
      return moved.includes(segment) ? [] : [digest(segment)]
    },
    read: (name) => new Uint8Array(100).fill(name[0]!),
    move: async (name, bytes) => {
      expect(bytes).toEqual(new Uint8Array(100).fill(name[0]!))
      moved.push(name[0]!)
    },
  })
  return { mover, moved }
}

describe('the mover', () => {
  it('moves when it is woken, until nothing can be moved', async () => {
    const segments = [1]
    const { mover, moved } = moverOver(segments)
    await nextTurn()
    expect(moved).toEqual([])
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([1])
  })

  it('looks again if cells are released while it ends', async () => {
    const segments = [1, 2, 3]
    const { mover, moved } = moverOver(segments, (segment) => {
      // It finds nothing more in this one. Its cells are released before it has ended.
      if (!moved.includes(segment)) return
      segments.shift()
      mover.wake()
    })
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([1, 2, 3])
  })

  it('moves nothing more once it is stopped', async () => {
    const { mover, moved } = moverOver([1, 2])
    mover.stop()
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([])
  })
})
