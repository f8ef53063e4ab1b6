import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Decipherer, Encipherer } from '../../bench/floor/cipher.js'
import { Dissemination, type OwnBatch } from '../../bench/floor/dissemination.js'
import { RETAIN_S, retainBytesFor, wireBytesPerS } from '../../bench/floor/options.js'
import { transactionBytesOf } from '../../bench/floor/result.js'

/** What comes out of a decipherer, one entry for each batch. */
function decipherTo(batches: Buffer[]): Decipherer {
  let pieces: Uint8Array[] = []
  return new Decipherer({
    onBegin: () => {
      pieces = []
    },
    onPlaintext: (bytes) => pieces.push(bytes),
    onEnd: () => batches.push(Buffer.concat(pieces)),
  })
}

function batchOf(bytes: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => at * 31 + seed))
}

describe("the floor's cipher", () => {
  it('gives every batch back, however the socket cuts it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 140_000 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 80_000 }),
        (lengths, cut) => {
          const sent = lengths.map(batchOf)
          const encipherer = new Encipherer()
          const wire = Buffer.concat(sent.flatMap((bytes) => encipherer.batch(bytes)))
          const taken: Buffer[] = []
          const decipherer = decipherTo(taken)
          for (let at = 0; at < wire.length; at += cut) decipherer.push(wire.subarray(at, at + cut))
          expect(taken.length).toBe(sent.length)
          expect(taken.every((bytes, index) => bytes.equals(sent[index]!))).toBe(true)
        },
      ),
      { numRuns: 30 },
    )
  })

  it('checks every tag', () => {
    const wire = Buffer.concat(new Encipherer().batch(batchOf(100_000, 1)))
    wire[50_000]! ^= 1
    expect(() => decipherTo([]).push(wire)).toThrow()
  })
})

describe("the floor's dissemination", () => {
  const bytes = new Uint8Array(10)

  function author(nodes: number) {
    const released: OwnBatch[] = []
    const dissemination = new Dissemination(nodes, { onReleased: (batch) => released.push(batch) })
    const written: (() => void)[][] = Array.from({ length: nodes - 1 }, () => [])
    const acks = written.map((queue) => dissemination.addPeer((_, onWritten) => queue.push(onWritten)))
    return { dissemination, released, written, acks }
  }

  it('has three batches at most without an ACK at each peer, and no peer waits for another', () => {
    const { dissemination, written, acks } = author(4)
    for (let count = 0; count < 5; count++) dissemination.begin(bytes, 0)
    expect(written.map(({ length }) => length)).toEqual([3, 3, 3])
    acks[1]!()
    expect(written.map(({ length }) => length)).toEqual([3, 4, 3])
  })

  it('certifies a batch when a quorum has it, the author included, and once', () => {
    const { dissemination, acks } = author(4)
    dissemination.held(dissemination.begin(bytes, 0))
    acks[0]!()
    expect(dissemination.certifiedBatches).toBe(0)
    acks[2]!()
    acks[1]!()
    expect([dissemination.certifiedBatches, dissemination.certifiedBytes]).toEqual([1, 10])
  })

  it('gives memory back when it was written to every peer and the author has done with it', () => {
    const { dissemination, released, written } = author(4)
    const batch = dissemination.begin(bytes, 0)
    for (const [onWritten] of written) onWritten!()
    expect(released).toEqual([])
    dissemination.written(batch)
    expect(released).toEqual([batch])
  })
})

describe("the floor's figures", () => {
  it('count bytes of transactions, without the lengths that travel with them', () => {
    expect(transactionBytesOf(516 * 7, 512)).toBe(512 * 7)
    expect(wireBytesPerS({ rate: 7, transactionBytes: 512 })).toBe(516 * 7)
  })

  it('have a few seconds of the rate retained', () => {
    expect(retainBytesFor(60_000, 512)).toBe(RETAIN_S * 60_000 * 512)
    expect(retainBytesFor(0, 64)).toBe(retainBytesFor(60_000, 512))
  })
})
