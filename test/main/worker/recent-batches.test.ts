import { describe, expect, it } from 'vitest'
import { RecentBatches } from '../../../src/main/worker/recent-batches.js'

const CAPACITY = 1_000

const digestOf = (n: number): Uint8Array => {
  const digest = new Uint8Array(32)
  new DataView(digest.buffer).setUint32(0, n)
  return digest
}

/** Bytes that say which batch they are of. */
const bytesOf = (n: number, length: number): Uint8Array => new Uint8Array(length).fill((n % 255) + 1)

/** One that somebody looks for batches in. */
function read(): RecentBatches {
  const recent = new RecentBatches(undefined, CAPACITY)
  recent.has(digestOf(0))
  return recent
}

describe('batches that were stored just now', () => {
  it('are whole or not there, and the last ones are there, whatever their sizes', () => {
    const recent = read()
    const lengths: number[] = []
    let seed = 7
    for (let n = 0; n < 2_000; n += 1) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      lengths.push(1 + (seed % (n % 3 === 0 ? 400 : 40)))
      recent.stored(digestOf(n), bytesOf(n, lengths[n]!))
      let behind = 0
      let held = 0
      for (let earlier = n; earlier >= Math.max(0, n - 60); earlier -= 1) {
        behind += lengths[earlier]!
        const found = recent.read(digestOf(earlier))
        held += found?.length ?? 0
        const isWhole = found === undefined || Buffer.compare(found, bytesOf(earlier, lengths[earlier]!)) === 0
        // What is too short for the next one at the end is lost, at most the length of a batch.
        const isTimely = found !== undefined || behind > CAPACITY - 2 * 400
        const isKnown = recent.has(digestOf(earlier)) === (found !== undefined)
        if (!isWhole || !isTimely || !isKnown)
          expect.fail(`batch ${earlier} of ${n}: ${isWhole} ${isTimely} ${isKnown}`)
      }
      if (held > CAPACITY) expect.fail(`${held} bytes`)
    }
  })

  it('are copies: neither the slot nor a reader changes what others read', () => {
    const recent = read()
    const slot = bytesOf(1, 100)
    recent.stored(digestOf(1), slot)
    slot.fill(0xdb)
    recent.read(digestOf(1))!.fill(0xdc)
    expect(Buffer.compare(recent.read(digestOf(1))!, bytesOf(1, 100))).toBe(0)
  })

  it('are kept only while somebody looks for them', () => {
    const recent = new RecentBatches(undefined, CAPACITY)
    recent.stored(digestOf(1), bytesOf(1, 100))
    expect(recent.has(digestOf(1))).toBe(false)
    for (let n = 2; n < 12; n += 1) recent.stored(digestOf(n), bytesOf(n, 100))
    expect(recent.read(digestOf(11))).toBeDefined()
    // As many bytes as there is memory for have passed without a look.
    recent.stored(digestOf(12), bytesOf(12, 100))
    expect([2, 11, 12].map((n) => recent.read(digestOf(n)))).toEqual([undefined, undefined, undefined])
    expect(recent.has(digestOf(13))).toBe(false)
    recent.stored(digestOf(13), bytesOf(13, 100))
    expect(recent.has(digestOf(13))).toBe(true)
  })

  it('count as memory beside the heap when they are read', () => {
    let allocated = 0
    const recent = new RecentBatches(
      {
        allocated: (bytes) => {
          allocated += bytes
        },
      },
      CAPACITY,
    )
    recent.has(digestOf(1))
    recent.stored(digestOf(1), bytesOf(1, 300))
    expect(allocated).toBe(0)
    recent.read(digestOf(1))
    recent.read(digestOf(2))
    expect(allocated).toBe(300)
  })

  it('have the place of now when they are stored again', () => {
    const recent = read()
    for (let n = 0; n < 9; n += 1) recent.stored(digestOf(n), bytesOf(n, 100))
    recent.stored(digestOf(0), bytesOf(0, 100))
    recent.has(digestOf(0))
    for (let n = 10; n < 18; n += 1) recent.stored(digestOf(n), bytesOf(n, 100))
    expect(recent.has(digestOf(0))).toBe(true)
    expect(recent.has(digestOf(1))).toBe(false)
  })
})
