import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { type CertifiedBatch, CertifiedStream } from '../../../src/main/worker/certified-stream.js'
import { CERTIFIED_READERS_MAX, CERTIFIED_UNREAD_MAX } from '../../../src/main/worker/limits.js'

const author = new Uint8Array(32).fill(7)

const batch = (sequence: number): Omit<CertifiedBatch, 'author'> => ({
  digest: new Uint8Array(32).fill(sequence),
  sequence: BigInt(sequence),
  transactions: 1,
  transactionBytes: 10,
})

/** A stream of which the store has nothing. */
function streamOf(author: Uint8Array, onRefused: (detail: string) => void = () => {}): CertifiedStream {
  const ask = async (): Promise<never> => ({ found: [], next: 0n, deleted: 0n }) as never
  return new CertifiedStream(author, {
    processor: { ask },
    frontier: { value: 0n, isCertified: () => true },
    onRefused,
  })
}

async function take(iterator: AsyncIterator<CertifiedBatch>, count: number): Promise<number[]> {
  const sequences: number[] = []
  for (let i = 0; i < count; i += 1) sequences.push(Number((await iterator.next()).value.sequence))
  return sequences
}

describe('a reader of certified batches', () => {
  test('gets each from the moment it begins, in order, whether it waits or they do', async () => {
    const stream = streamOf(author)
    stream.push(batch(1))
    const reader = stream[Symbol.asyncIterator]()
    stream.push(batch(2))
    stream.push(batch(3))
    expect(await take(reader, 2)).toEqual([2, 3])
    const waiting = reader.next()
    stream.push(batch(4))
    expect((await waiting).value).toEqual({ ...batch(4), author })
  })

  test('has its own place: others read at their own pace', async () => {
    const stream = streamOf(author)
    const [first, second] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()]
    stream.push(batch(1))
    stream.push(batch(2))
    expect(await take(first, 2)).toEqual([1, 2])
    stream.push(batch(3))
    expect(await take(second, 3)).toEqual([1, 2, 3])
    expect(await take(first, 1)).toEqual([3])
  })

  test('reads what is left when the stream is closed, and then ends', async () => {
    const stream = streamOf(author)
    const sequences: bigint[] = []
    const reading = (async () => {
      for await (const { sequence } of stream) sequences.push(sequence)
    })()
    stream.push(batch(1))
    stream.push(batch(2))
    stream.close()
    stream.push(batch(3))
    await reading
    expect(sequences).toEqual([1n, 2n])
  })

  test('ends at once when the stream is closed already', async () => {
    const stream = streamOf(author)
    stream.close()
    stream.push(batch(1))
    const reader = stream[Symbol.asyncIterator]()
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })

  test('is told the author, and has bytes of its own', async () => {
    const stream = streamOf(author)
    const [one, other] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()]
    const pushed = batch(5)
    stream.push(pushed)
    const { value } = (await one.next()) as { value: CertifiedBatch }
    value.digest.fill(0)
    value.author.fill(0)
    expect((await other.next()).value).toEqual({ ...batch(5), author: new Uint8Array(32).fill(7) })
    expect(pushed).toEqual(batch(5))
    expect(author).toEqual(new Uint8Array(32).fill(7))
  })

  test('that stops reading is sent no more', async () => {
    const stream = streamOf(author)
    for (let i = 0; i < 3; i += 1) stream.push(batch(i))
    const reader = stream[Symbol.asyncIterator]()
    stream.push(batch(1))
    await reader.return!()
    stream.push(batch(2))
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })

  test('that leaves too many unread is told so after those, and does not disturb the others', async () => {
    const stream = streamOf(author)
    const [slow, quick] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()]
    const one = batch(1)
    for (let i = 0; i < CERTIFIED_UNREAD_MAX; i += 1) {
      stream.push(one)
      await quick.next()
    }
    stream.push(batch(2))
    stream.push(batch(3))
    expect(await take(quick, 2)).toEqual([2, 3])
    for (let i = 0; i < CERTIFIED_UNREAD_MAX; i += 1) await slow.next()
    await expect(slow.next()).rejects.toMatchObject({ code: 'ERR_BUSY' })
  })
})

describe('readers of certified batches', () => {
  /** As many as may be: half of them of the past. */
  function fill(stream: CertifiedStream): AsyncIterator<CertifiedBatch>[] {
    return Array.from({ length: CERTIFIED_READERS_MAX }, (_, n) =>
      n % 2 === 0 ? stream[Symbol.asyncIterator]() : stream.readAfter({ after: 0n }),
    )
  }

  test('are so many at most, of both kinds together: one more is counted and told so, and disturbs no other', async () => {
    const refused: string[] = []
    const stream = streamOf(author, (detail) => void refused.push(detail))
    const readers = fill(stream)
    const controller = new AbortController()
    const late = [stream[Symbol.asyncIterator](), stream.readAfter({ after: 0n, signal: controller.signal })]
    for (const reader of late) {
      await expect(reader.next()).rejects.toMatchObject({
        code: 'ERR_BUSY',
        message: expect.stringContaining(`at most ${CERTIFIED_READERS_MAX}`),
      })
    }
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    // Nobody is left waiting by one that was refused and is read on.
    expect(await late[1]!.next()).toEqual({ done: true, value: undefined })
    expect(refused).toHaveLength(2)
    stream.push(batch(1))
    expect(await take(readers[0]!, 1)).toEqual([1])
  })

  test.each([
    ['it leaves', 0, (reader: AsyncIterator<CertifiedBatch>) => reader.return!()],
    ['it leaves, of the past', 1, (reader: AsyncIterator<CertifiedBatch>) => reader.return!()],
  ])('one makes room when %s', async (_, index, leave) => {
    const refused: string[] = []
    const stream = streamOf(author, (detail) => void refused.push(detail))
    const readers = fill(stream)
    await leave(readers[index]!)
    const next = stream[Symbol.asyncIterator]()
    stream.push(batch(1))
    expect(await take(next, 1)).toEqual([1])
    expect(refused).toEqual([])
  })

  test('one of the past makes room when its signal ends it, or the loop that reads it is left', async () => {
    const refused: string[] = []
    const stream = streamOf(author, (detail) => void refused.push(detail))
    const [reader] = fill(stream)
    await reader!.return!()
    for (let n = 0; n < 3; n += 1) {
      const controller = new AbortController()
      stream.readAfter({ after: 0n, signal: controller.signal })
      controller.abort()
      const left = (async () => {
        for await (const { sequence } of stream) return sequence
        return undefined
      })()
      stream.push(batch(n))
      expect(await left).toBe(BigInt(n))
    }
    expect(refused).toEqual([])
  })
})
