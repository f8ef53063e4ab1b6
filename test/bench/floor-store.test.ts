import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { describe, expect, it } from 'vitest'
import { SegmentLog } from '../../bench/floor/segment-log.js'
import { Slots } from '../../bench/floor/slots.js'
import { Store } from '../../bench/floor/store.js'
import { wholePages } from '../../src/shared/memory/page-memory.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const LARGE = [500_000, 16_384, 20_001, 499_999, 100_000]

function fill(bytes: Uint8Array, seed: number): Buffer {
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = at * 7 + seed
  return Buffer.from(bytes)
}

describe("the floor's store", () => {
  it.each(['stored', 'durable'] as const)(
    'at level %s has every batch as it was put, in the order of the calls',
    async (ackLevel) => {
      const directory = temporaryDirectory()
      const store = new Store({ directory, ackLevel, retainBytes: 1e9 })
      const slots = new Slots(4)
      const order: number[] = []
      const sizes = LARGE.flatMap((bytes, index) => [bytes, 1 + index])
      const put: Buffer[] = []
      const stored = new Promise<void>((resolve) => {
        const putNext = (): void => {
          const number = put.length
          if (number === sizes.length) return
          const slot = slots.take()!
          const bytes = slot.subarray(0, sizes[number])
          put.push(fill(bytes, number))
          const onWritten = (): void => {
            // What has the slot now must not be what the store has.
            slot.fill(0)
            slots.release(slot)
            putNext()
          }
          store.put(bytes, onWritten, () => {
            order.push(number)
            if (order.length === sizes.length) resolve()
          })
        }
        putNext()
      })
      await stored
      expect(order).toEqual([...sizes.keys()])

      const segment = readFileSync(join(directory, 'segments', '0'))
      let at = 0
      for (const bytes of put.filter(({ length }) => LARGE.includes(length))) {
        expect(Buffer.compare(segment.subarray(at, at + bytes.length), bytes)).toBe(0)
        at += wholePages(bytes.length)
      }
      await store.close()
      const index = open<Uint8Array, Uint8Array>({
        path: directory,
        encoding: 'binary',
        keyEncoding: 'binary',
      } as object)
      const values = [...index.getRange({})].map(({ value }) => value.length)
      expect(values).toHaveLength(sizes.length)
      expect(values.filter((_, number) => number % 2 === 1)).toEqual(LARGE.map((_, index) => 1 + index))
      await index.close()
    },
  )

  it('forgets the oldest, and fills the first file again when enough are full', async () => {
    const directory = temporaryDirectory()
    const retained = 2_000_000
    const log = new SegmentLog(directory, retained, 1_000_000)
    const [slot] = [new Slots(1).take()!]
    for (let number = 0; number < 20; number += 1) {
      fill(slot.subarray(0, 300_000), number)
      await log.write(slot.subarray(0, 300_000))
    }
    await log.flush()
    // Of three batches each: two that stay, one that is filled, one that is being forgotten.
    expect(readdirSync(directory).sort()).toEqual(['0', '1', '2', '3'])
    const first = readFileSync(join(directory, '0'))
    expect(first[0]).toBe(12)
    expect(log.flush()).toBeUndefined()
  })
})
