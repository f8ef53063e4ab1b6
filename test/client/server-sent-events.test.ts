/** Server-sent events come out the same, however they were cut on the way. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EVENT_CHARS_MAX } from '../../src/client/limits.js'
import { type ServerSentEvent, ServerSentEvents } from '../../src/client/server-sent-events.js'

function read(pieces: readonly string[]): ServerSentEvent[] {
  const events = new ServerSentEvents()
  return pieces.flatMap((piece) => events.push(piece))
}
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, n) => text.slice(from, [...at, text.length][n]))
}

test('all that the standard has: comments, names, ids that last, several lines of data, and no data at all', () => {
  const text = [
    '\uFEFF: a heartbeat',
    '',
    'id: 1.0',
    'event: commit',
    'data: {"a":1}',
    '',
    'data:first',
    'data: second',
    'unknown: field',
    'retry',
    '',
    'id: 2.0',
    '',
    'data',
    '',
    'data: not over',
  ].join('\n')
  expect(read([text])).toEqual([
    { id: '1.0', hasOwnId: true, event: 'commit', data: '{"a":1}' },
    { id: '1.0', hasOwnId: false, event: 'message', data: 'first\nsecond' },
    { id: '2.0', hasOwnId: false, event: 'message', data: '' },
  ])
})

test('events are the same however the text is cut, and whichever ends its lines have', () => {
  const event = fc.record({
    id: fc.nat(),
    data: fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, '.')),
  })
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 5 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(), { maxLength: 12 }),
      (events, end, places) => {
        const text = `${events.map(({ data, id }) => `id: ${id}${end}: beat${end}data: ${data}${end}${end}`).join('')}:${end}`
        const found = read(cut(text, places))
        expect(found).toEqual(
          events.map(({ data, id }) => ({ id: String(id), hasOwnId: true, event: 'message', data })),
        )
      },
    ),
  )
})

test('an event that never ends is refused before it takes the memory', () => {
  const events = new ServerSentEvents()
  events.push('data: ')
  const piece = 'x'.repeat(1024 * 1024)
  let pushed = 0
  expect(() => {
    for (; pushed < 2 * EVENT_CHARS_MAX; pushed += piece.length) events.push(piece)
  }).toThrow(RangeError)
  expect(pushed).toBeLessThanOrEqual(EVENT_CHARS_MAX)
  const lines = new ServerSentEvents()
  expect(() => {
    for (let n = 0; n < 2 * (EVENT_CHARS_MAX / piece.length); n += 1) lines.push(`data: ${piece}\n`)
  }).toThrow(RangeError)
})
