import { describe, expect, test } from 'vitest'
import { CertificationFrontier } from '../../../src/main/worker/certification-frontier.js'
import {
  type CertifiedBatch,
  type CertifiedOptions,
  CertifiedStream,
} from '../../../src/main/worker/certified-stream.js'
import { WALK_CHUNK } from '../../../src/shared/constants.js'
import { NarvalError } from '../../../src/shared/errors.js'
import type { OwnBatches, SequenceRange } from '../../../src/shared/memory/dialogue/processor.js'

const AUTHOR = new Uint8Array(32).fill(7)

/** A worker's own batches as its store and its stages have them: nothing of it is in threads or on a disk. */
class Own {
  readonly stored = new Map<bigint, Uint8Array>()
  readonly uncertified = new Set<bigint>()
  deleted = 0n
  /** Walks over the store that were asked for. */
  walks = 0
  /** Called before each walk is answered. */
  onWalk: () => unknown = () => {}
  readonly frontier = new CertificationFrontier({ lowestUncertified: () => [...this.uncertified].sort(ascending)[0] })
  readonly stream = new CertifiedStream(AUTHOR, {
    processor: { ask: async (request: unknown) => (await this.walk(request as SequenceRange)) as never },
    frontier: this.frontier,
    onRefused: (detail) => expect.unreachable(detail),
  })

  constructor() {
    this.frontier.begin(1n)
    this.frontier.onRecovering(undefined)
  }

  seal(sequence: bigint): void {
    this.frontier.onSealed(sequence)
    this.uncertified.add(sequence)
    this.stored.set(sequence, new Uint8Array(32).fill(Number(sequence % 256n)))
  }

  certify(sequence: bigint): void {
    this.uncertified.delete(sequence)
    this.stream.push({ sequence, digest: this.stored.get(sequence)!, transactions: 1, transactionBytes: 10 })
  }

  all(from: bigint, to: bigint): void {
    for (let sequence = from; sequence <= to; sequence += 1n) {
      this.seal(sequence)
      this.certify(sequence)
    }
  }

  delete(sequence: bigint): void {
    this.stored.delete(sequence)
    if (sequence > this.deleted) this.deleted = sequence
  }

  read(after: bigint, options: Partial<CertifiedOptions> = {}): Reading {
    return new Reading(this.stream.readAfter({ after, ...options }))
  }

  private async walk({ before, from }: SequenceRange): Promise<OwnBatches> {
    this.walks += 1
    await this.onWalk()
    const sequences = [...this.stored.keys()].sort(ascending).filter((it) => it >= from && it < before)
    const found = sequences.slice(0, WALK_CHUNK).map((sequence) => ({
      sequence,
      digest: this.stored.get(sequence)!,
      transactions: 1,
      transactionBytes: 10,
    }))
    return { found, next: found.length === WALK_CHUNK ? found.at(-1)!.sequence + 1n : before, deleted: this.deleted }
  }
}

/** What a reader has given so far, while it goes on. */
class Reading {
  readonly sequences: number[] = []
  readonly over: Promise<unknown>
  readonly reader: AsyncIterableIterator<CertifiedBatch>

  constructor(reader: AsyncIterableIterator<CertifiedBatch>) {
    this.reader = reader
    this.over = this.follow()
  }

  private async follow(): Promise<unknown> {
    try {
      for await (const { sequence } of this.reader) this.sequences.push(Number(sequence))
      return 'done'
    } catch (error) {
      return error
    }
  }
}

const ascending = (a: bigint, b: bigint): number => (a < b ? -1 : 1)
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n)
/** All that can happen without anything new has happened. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('a reader that begins after a sequence', () => {
  test('gets the past and then what follows, in order, without gap or repeat', async () => {
    const own = new Own()
    const past = WALK_CHUNK * 2 + 10
    own.all(1n, BigInt(past))
    let more = BigInt(past)
    // A batch is certified while each part of the past is read.
    own.onWalk = () => {
      if (own.walks > 4) return
      more += 1n
      own.all(more, more)
    }
    const reading = own.read(5n)
    await settle()
    own.all(more + 1n, more + 50n)
    await settle()
    expect(reading.sequences).toEqual(range(6, Number(more) + 50))
    expect(own.walks).toBeGreaterThan(4)
  })

  test('gives each batch with its author, in bytes of the reader’s own', async () => {
    const own = new Own()
    own.all(1n, 1n)
    const { value } = await own.stream.readAfter({ after: 0n }).next()
    expect(value).toEqual({
      author: AUTHOR,
      digest: own.stored.get(1n),
      sequence: 1n,
      transactions: 1,
      transactionBytes: 10,
    })
    value!.author.fill(0)
    expect(AUTHOR[0]).toBe(7)
  })

  test('holds back what is above a batch that is not certified, so that none below comes later', async () => {
    const own = new Own()
    for (const sequence of [1n, 2n, 3n, 4n]) own.seal(sequence)
    own.certify(4n)
    own.certify(1n)
    const reading = own.read(0n)
    await settle()
    expect(reading.sequences).toEqual([1])
    own.certify(3n)
    await settle()
    expect(reading.sequences).toEqual([1])
    own.certify(2n)
    await settle()
    expect(reading.sequences).toEqual([1, 2, 3, 4])
  })

  test('waits for what an earlier run left uncertified, and passes by what is lost of it', async () => {
    const own = new Own()
    own.all(1n, 9n)
    // As after a restart: 4, 6 and 8 are not known to be certified, and 6 cannot be sent again.
    own.frontier.begin(10n)
    own.frontier.onRecovering(0n)
    const reading = own.read(1n)
    await settle()
    expect(reading.sequences).toEqual([])
    for (const sequence of [4n, 6n, 8n]) {
      own.frontier.onRecovering(sequence)
      own.stream.wake()
      await settle()
      expect(reading.sequences.at(-1)).toBe({ 4: 3, 6: 5, 8: 7 }[Number(sequence)])
      if (sequence === 6n) own.frontier.onLost(6n)
      else own.uncertified.add(sequence)
      if (sequence === 4n) own.certify(4n)
    }
    own.all(10n, 12n)
    own.frontier.onRecovering(undefined)
    own.stream.wake()
    await settle()
    expect(reading.sequences).toEqual([2, 3, 4, 5, 7])
    own.certify(8n)
    await settle()
    expect(reading.sequences).toEqual([2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
  })

  test('goes on where another one stopped, whatever was certified in between', async () => {
    const own = new Own()
    const seen: number[] = []
    let cursor = 0n
    for (let n = 0; n < 30; n += 1) {
      const first = BigInt(n * 3 + 1)
      for (const sequence of [first, first + 1n, first + 2n]) own.seal(sequence)
      // Two of three are certified at once, the third with the next.
      own.certify(first + 2n)
      own.certify(first)
      if (n > 0) own.certify(first - 2n)
      const reading = own.read(cursor)
      await settle()
      await reading.reader.return!()
      seen.push(...reading.sequences)
      cursor = BigInt(seen.at(-1) ?? 0)
    }
    expect(seen).toEqual(range(1, 88))
  })

  test('keeps a part of the store in memory, however far behind it is', async () => {
    const own = new Own()
    own.all(1n, BigInt(WALK_CHUNK * 4))
    const reader = own.stream.readAfter({ after: 0n })
    await reader.next()
    await settle()
    own.all(BigInt(WALK_CHUNK * 4) + 1n, BigInt(WALK_CHUNK * 8))
    expect(own.walks).toBe(1)
    for (let sequence = 2n; sequence <= BigInt(WALK_CHUNK * 8); sequence += 1n) {
      expect((await reader.next()).value?.sequence).toBe(sequence)
    }
    expect(own.walks).toBe(8)
  })

  test('has its own place: several read at their own pace', async () => {
    const own = new Own()
    own.all(1n, 20n)
    const [one, other] = [own.read(0n), own.read(15n)]
    await settle()
    own.all(21n, 22n)
    await settle()
    expect(one.sequences).toEqual(range(1, 22))
    expect(other.sequences).toEqual(range(16, 22))
  })

  test('serves calls of next in their order, though none waits for another', async () => {
    const own = new Own()
    own.all(1n, 2n)
    const reader = own.stream.readAfter({ after: 0n })
    const calls = [1, 2, 3, 4].map(() => reader.next())
    await settle()
    own.all(3n, 4n)
    expect((await Promise.all(calls)).map(({ value }) => value?.sequence)).toEqual([1n, 2n, 3n, 4n])
  })

  test('that is ahead of everything waits for what comes after its sequence', async () => {
    const own = new Own()
    own.all(1n, 5n)
    const [far, last] = [own.read(7n), own.read(2n ** 64n - 1n)]
    await settle()
    own.all(6n, 9n)
    await settle()
    expect(far.sequences).toEqual([8, 9])
    expect(last.sequences).toEqual([])
  })
})

describe('what was deleted before a reader came to it', () => {
  test('is an error that says after which sequence none is missing', async () => {
    const own = new Own()
    own.all(1n, 10n)
    for (const sequence of [1n, 2n, 3n, 5n]) own.delete(sequence)
    const reading = own.read(2n)
    const error = (await reading.over) as NarvalError & { deletedThrough: bigint }
    expect(error).toMatchObject({ code: 'ERR_BATCHES_DELETED', deletedThrough: 5n })
    expect(error.message).toContain('after sequence 2 were deleted, the last of them 5')
    expect(reading.sequences).toEqual([])
    expect(await reading.reader.next()).toEqual({ done: true, value: undefined })
    const on = own.read(error.deletedThrough)
    await settle()
    expect(on.sequences).toEqual([6, 7, 8, 9, 10])
  })

  test('is passed by where the reader says so', async () => {
    const own = new Own()
    own.all(1n, 10n)
    for (const sequence of [1n, 2n, 3n, 5n]) own.delete(sequence)
    const reading = own.read(2n, { skipDeleted: true })
    await settle()
    expect(reading.sequences).toEqual([4, 6, 7, 8, 9, 10])
  })

  test('in the middle of its reading is an error after what it was given before', async () => {
    const own = new Own()
    own.all(1n, BigInt(WALK_CHUNK + 20))
    own.onWalk = () => {
      if (own.walks === 2) own.delete(BigInt(WALK_CHUNK + 1))
    }
    const reading = own.read(0n)
    expect(await reading.over).toMatchObject({ code: 'ERR_BATCHES_DELETED', deletedThrough: BigInt(WALK_CHUNK + 1) })
    expect(reading.sequences).toEqual(range(1, WALK_CHUNK))
  })

  test('is none, if the reader had read it', async () => {
    const own = new Own()
    own.all(1n, 10n)
    const reading = own.read(0n)
    await settle()
    for (let sequence = 1n; sequence <= 10n; sequence += 1n) own.delete(sequence)
    own.all(11n, 12n)
    await settle()
    expect(reading.sequences).toEqual(range(1, 12))
  })
})

describe('the end of a reader', () => {
  test('that its owner asks for: what waits is answered at once, also while the store is asked', async () => {
    const own = new Own()
    const waits = own.stream.readAfter({ after: 0n })
    const waiting = waits.next()
    await settle()
    await waits.return!()
    expect(await waiting).toEqual({ done: true, value: undefined })
    let answer: () => void = () => {}
    own.onWalk = () => new Promise<void>((resolve) => (answer = resolve))
    own.all(1n, 3n)
    const asks = own.stream.readAfter({ after: 0n })
    const asking = asks.next()
    await settle()
    await asks.return!()
    answer()
    expect(await asking).toEqual({ done: true, value: undefined })
    const { walks } = own
    own.all(4n, 5n)
    await settle()
    expect(own.walks).toBe(walks)
  })

  test('by a signal: what waits rejects with its reason, and the signal is let go of', async () => {
    const own = new Own()
    const ending = new AbortController()
    const reading = own.read(0n, { signal: ending.signal })
    own.all(1n, 2n)
    await settle()
    const reason = new Error('enough')
    ending.abort(reason)
    expect(await reading.over).toBe(reason)
    expect(reading.sequences).toEqual([1, 2])
    const late = own.stream.readAfter({ after: 0n, signal: ending.signal })
    await expect(late.next()).rejects.toBe(reason)
    expect(await late.next()).toEqual({ done: true, value: undefined })
  })

  test('when the worker closes, whether it waits or asks', async () => {
    const own = new Own()
    const waits = own.read(0n)
    await settle()
    own.onWalk = () => {
      throw new NarvalError('ERR_CLOSED', 'the worker is closed')
    }
    const asks = own.read(0n)
    own.all(1n, 1n)
    own.stream.close()
    expect([await waits.over, await asks.over]).toEqual(['done', 'done'])
    expect(await own.stream.readAfter({ after: 0n }).next()).toEqual({ done: true, value: undefined })
  })

  test('when the store fails is that failure', async () => {
    const own = new Own()
    own.onWalk = () => {
      throw new NarvalError('ERR_STORE_DAMAGED', 'a page is damaged')
    }
    own.all(1n, 1n)
    expect(await own.read(0n).over).toMatchObject({ code: 'ERR_STORE_DAMAGED' })
  })
})
