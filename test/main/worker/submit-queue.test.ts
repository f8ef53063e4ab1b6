import { describe, expect, test } from 'vitest'
import { SUBMIT_WAITING_BYTES_MAX, SUBMIT_WAITING_MAX } from '../../../src/main/worker/limits.js'
import { SubmitQueue } from '../../../src/main/worker/submit-queue.js'

/** A queue before a ring with so much room. */
function queueOf(room: number): { queue: SubmitQueue; pushed: number[]; room: (more: number) => void } {
  const pushed: number[] = []
  const queue = new SubmitQueue(100, (transaction) => {
    if (room === 0) return false
    room -= 1
    pushed.push(transaction[0]!)
    return true
  })
  return {
    queue,
    pushed,
    room: (more) => {
      room += more
    },
  }
}

const transaction = (byte: number, length = 10): Uint8Array => new Uint8Array(length).fill(byte)

describe('submit', () => {
  test('puts a transaction in line at once while there is room', async () => {
    const { queue, pushed } = queueOf(2)
    await queue.submit(transaction(1))
    await queue.submit(transaction(2, 100))
    expect(pushed).toEqual([1, 2])
  })

  test('waits while there is none, in order, and lets nobody past', async () => {
    const { queue, pushed, room } = queueOf(1)
    const settled: number[] = []
    const submits = [1, 2, 3, 4].map((byte) => queue.submit(transaction(byte)).then(() => settled.push(byte)))
    await submits[0]
    queue.proceed()
    expect(pushed).toEqual([1])
    room(2)
    // One that comes now finds room, and goes behind those that wait.
    const late = queue.submit(transaction(5)).then(() => settled.push(5))
    expect(pushed).toEqual([1])
    queue.proceed()
    await submits[2]
    expect(pushed).toEqual([1, 2, 3])
    expect(settled).toEqual([1, 2, 3])
    room(10)
    queue.proceed()
    await Promise.all([...submits, late])
    expect(pushed).toEqual([1, 2, 3, 4, 5])
    queue.proceed()
    expect(pushed).toHaveLength(5)
  })

  test('refuses a transaction of no bytes, and one that is too long, with the limit', async () => {
    const { queue, pushed } = queueOf(9)
    await expect(queue.submit(new Uint8Array(0))).rejects.toMatchObject({ code: 'ERR_TRANSACTION_EMPTY' })
    await expect(queue.submit(transaction(1, 101))).rejects.toMatchObject({
      code: 'ERR_TRANSACTION_TOO_LARGE',
      message: '101 bytes, at most 100',
    })
    expect(pushed).toEqual([])
  })

  test('refuses when too many wait, and takes more when there is room again', async () => {
    const { queue, room } = queueOf(0)
    const waiting = Array.from({ length: SUBMIT_WAITING_MAX }, () => queue.submit(transaction(1)))
    await expect(queue.submit(transaction(2))).rejects.toMatchObject({ code: 'ERR_BUSY' })
    room(1)
    queue.proceed()
    await waiting[0]
    const one = queue.submit(transaction(3))
    room(SUBMIT_WAITING_MAX)
    queue.proceed()
    await Promise.all([...waiting, one])
  })

  test('keeps what waits as it was, whatever its caller does with his memory', async () => {
    const { queue, pushed, room } = queueOf(0)
    const reused = transaction(1)
    const transferred = Uint8Array.of(2)
    const waiting = [queue.submit(reused), queue.submit(transferred)]
    reused.fill(9)
    structuredClone(transferred, { transfer: [transferred.buffer] })
    room(2)
    queue.proceed()
    await Promise.all(waiting)
    expect(pushed).toEqual([1, 2])
  })

  test('refuses when too many bytes wait, and takes more when they are gone', async () => {
    const bytes = 4 * 1024 * 1024
    let room = 0
    const queue = new SubmitQueue(bytes, () => room-- > 0)
    const waiting = Array.from({ length: SUBMIT_WAITING_BYTES_MAX / bytes }, () => queue.submit(new Uint8Array(bytes)))
    await expect(queue.submit(transaction(2))).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: `${SUBMIT_WAITING_BYTES_MAX} bytes wait, at most ${SUBMIT_WAITING_BYTES_MAX}: await submit()`,
    })
    room = 1
    queue.proceed()
    await waiting[0]
    room = waiting.length
    const one = queue.submit(new Uint8Array(bytes))
    queue.proceed()
    await Promise.all([...waiting, one])
  })

  test('refuses all that wait and all that come when it is closed', async () => {
    const { queue, pushed, room } = queueOf(0)
    const waiting = queue.submit(transaction(1))
    queue.close()
    room(5)
    queue.proceed()
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(queue.submit(transaction(2))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(pushed).toEqual([])
  })
})
