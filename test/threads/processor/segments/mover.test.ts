import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Mover } from '../../../../src/threads/processor/segments/mover.js'

const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

/** A mover over segments of which each has one batch, named by the segment. `onLook`: it looks for one to empty. */
function moverOver(segments: number[], { onLook = () => {}, unreadable = [] as number[] } = {}) {
  const moved: number[] = []
  const mover: Mover = new Mover({
    emptiest: (except) => {
      const found = segments.find((segment) => !except.has(segment))
      onLook()
      return found
    },
    listed: (segment) => (moved.includes(segment) ? [] : [digest(segment)]),
    read: (name) => (unreadable.includes(name[0]!) ? undefined : new Uint8Array(100).fill(name[0]!)),
    move: async (name, bytes) => {
      expect(bytes).toEqual(new Uint8Array(100).fill(name[0]!))
      moved.push(name[0]!)
    },
  })
  return { mover, moved }
}

describe('the mover', () => {
  it('moves when it is woken, until nothing can be moved', async () => {
    const { mover, moved } = moverOver([1, 2])
    await nextTurn()
    expect(moved).toEqual([])
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([1, 2])
  })

  it('looks again if cells are released while it ends', async () => {
    const segments: number[] = []
    const later = [1, 2, 3]
    const { mover, moved } = moverOver(segments, {
      // Cells are released just when it has found nothing more.
      onLook() {
        const next =
          later.length > 0 && segments.every((segment) => moved.includes(segment)) ? later.shift() : undefined
        if (next === undefined) return
        segments.splice(0, segments.length, next)
        mover.wake()
      },
    })
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([1, 2, 3])
  })

  it('leaves what cannot be read where it is, and goes on with the next segment', async () => {
    const { mover, moved } = moverOver([1, 2, 3], { unreadable: [1, 2] })
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([3])
  })

  it('moves nothing more once it is stopped', async () => {
    const { mover, moved } = moverOver([1, 2])
    mover.stop()
    mover.wake()
    await mover.ended()
    expect(moved).toEqual([])
  })
})
