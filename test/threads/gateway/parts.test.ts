/** The gateway's pure parts: places, bodies, rates, who may call, cursors, problems. */
import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { CommitsPrunedError, NarvalError } from '../../../src/shared/errors.js'
import { isLoopback } from '../../../src/shared/wire/source-address.js'
import { Bodies } from '../../../src/threads/gateway/door/bodies.js'
import { checkCaller } from '../../../src/threads/gateway/door/caller.js'
import { Places } from '../../../src/threads/gateway/door/places.js'
import { problemOf } from '../../../src/threads/gateway/door/problem.js'
import { Rates } from '../../../src/threads/gateway/door/rates.js'
import { formatCursor, parseCursor } from '../../../src/threads/gateway/order/cursor.js'

describe('places', () => {
  test('are taken from who hoards them, its newest first, and never from who has few', () => {
    const places = new Places(4)
    const evicted: string[] = []
    const come = (name: string): boolean =>
      places.take({ source: name.slice(0, 1), onEvicted: () => evicted.push(name) })
    expect(['a1', 'b1', 'a2', 'a3'].map(come)).toEqual([true, true, true, true])
    // It has the most itself.
    expect(come('a4')).toBe(false)
    expect(come('b2')).toBe(true)
    expect(evicted).toEqual(['a3'])
    // Two and two: a third of either would only change who hoards.
    expect([come('a5'), come('b3'), come('c1')]).toEqual([false, false, true])
    expect(evicted).toEqual(['a3', 'a2'])
    expect(places.taken).toBe(4)
  })

  test('are given back once', () => {
    const places = new Places(1)
    const place = { source: 'a', onEvicted: () => {} }
    expect(places.take(place)).toBe(true)
    places.leave(place)
    places.leave(place)
    expect(places.taken).toBe(0)
  })
})

describe('bodies on their way', () => {
  const give = async (body: PassThrough, bytes: number): Promise<void> => {
    body.write(Buffer.alloc(bytes))
    await turn()
    await turn()
  }
  const codeOfRead = (read: Promise<Buffer>): Promise<string> => read.then(String, ({ code }: NarvalError) => code)

  test('when they hold too much, the source with the most loses its newest, and others nothing', async () => {
    const bodies = new Bodies(100)
    const begun = ['a', 'a', 'a', 'b'].map((source) => {
      const body = new PassThrough()
      return { body, read: bodies.read(body, 1_000, source) }
    })
    const codes = begun.map(({ read }) => codeOfRead(read.then((bytes) => Buffer.from(String(bytes.length)))))
    const [a1, a2, a3, b] = begun.map(({ body }) => body) as [PassThrough, PassThrough, PassThrough, PassThrough]
    for (const body of [a1, a2, a3]) await give(body, 30)
    expect(bodies.bytes).toBe(90)
    await give(b, 20)
    expect([bodies.bytes, a3.destroyed, a2.destroyed]).toEqual([80, true, false])
    // Who has the most itself is refused.
    await give(a2, 30)
    expect(bodies.bytes).toBe(50)
    for (const body of [a1, b]) body.end()
    expect(await Promise.all(codes)).toEqual(['30', 'ERR_BUSY', 'ERR_BUSY', '20'])
    expect(bodies.bytes).toBe(0)
  })

  test('are refused when they are too large, and when they end before their end', async () => {
    const bodies = new Bodies(100)
    const [large, half] = [new PassThrough(), new PassThrough()]
    const reads = [bodies.read(large, 10, 'a'), bodies.read(half, 10, 'a')].map(codeOfRead)
    large.write(Buffer.alloc(11))
    half.write(Buffer.alloc(5))
    await turn()
    half.destroy()
    expect(await Promise.all(reads)).toEqual(['ERR_REQUEST_TOO_LARGE', 'ERR_REQUEST_MALFORMED'])
    expect(bodies.bytes).toBe(0)
  })
})

test('a source has its rate, and another one of its own', () => {
  const rates = new Rates(2, 8)
  expect([0, 0, 0, 500, 500].map((ms) => rates.admits('a', ms))).toEqual([true, true, false, true, false])
  expect(rates.admits('b', 500)).toBe(true)
})

describe('who may call', () => {
  const codeOf = (headers: Parameters<typeof checkCaller>[0], token?: string): string | undefined => {
    try {
      checkCaller(headers, token)
      return undefined
    } catch (error) {
      return (error as NarvalError).code
    }
  }

  test.each(['localhost:3000', '127.0.0.1', '[::1]:3000', 'app.localhost'])('without a token: %s', (host) => {
    expect(codeOf({ host })).toBeUndefined()
  })

  test.each(['evil.example.org', 'localhost.example.org:3000', '', undefined])('not by the name %s', (host) => {
    expect(codeOf({ host })).toBe('ERR_HOST_FOREIGN')
  })

  test('with a token, whatever the name, who has it', () => {
    const host = 'narval.example.org'
    expect(codeOf({ host, authorization: 'Bearer secret' }, 'secret')).toBeUndefined()
    for (const authorization of [
      undefined,
      '',
      'secret',
      'Bearer ',
      'Bearer secre',
      'Bearer secrets',
      'Basic secret',
    ]) {
      expect(codeOf({ host: 'localhost', authorization }, 'secret')).toBe('ERR_UNAUTHORIZED')
    }
  })

  test.each([
    ['127.0.0.1', true],
    ['127.8.8.8', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['example.org', false],
    // A name, which may stand for any machine.
    ['127.example.org', false],
  ])('%s is reached by this machine alone: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected)
  })
})

test.each(['0', '12', '12.0', '12.345'])('a cursor is text and a place: %s', (text) => {
  expect(formatCursor(parseCursor('after', text))).toBe(text)
})

test.each(['', ' 1', '1.', '.1', '-1', '1.-1', '1e3', '0.0', '99999999999999999', ['1', '2'], undefined])(
  'no cursor: %s',
  (text) => {
    expect(() => parseCursor('after', text)).toThrow(/^after: expected/)
  },
)

test('a failure of ours says nothing of itself, and what was pruned says where the log begins', () => {
  const ours = problemOf(new Error('secret path'))
  expect(ours).toMatchObject({ status: 500, isOurs: true })
  expect(ours.body).not.toMatch('secret')
  const pruned = problemOf(new CommitsPrunedError(3, 9))
  expect([pruned.status, JSON.parse(pruned.body).oldest]).toEqual([410, 9])
  expect(problemOf(new NarvalError('ERR_BUSY', 'x')).headers).toMatchObject({ 'retry-after': '1' })
})
