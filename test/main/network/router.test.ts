import { describe, expect, test } from 'vitest'
import { collect } from '../../../src/main/network/frame-stream.js'
import { type FrameTaker, type Routes, route } from '../../../src/main/network/router.js'
import { FRAME_TYPES, type FrameName } from '../../../src/shared/wire/frames.js'

const sink = collect(0, () => undefined)

/** Routes of each kind of stream, with the names of the takers that are asked. */
function routesOf(asked: string[]): Record<Routes['stream'], Routes> {
  const taker =
    (name: string): FrameTaker =>
    (payloadBytes) => {
      asked.push(`${name} ${payloadBytes}`)
      return sink
    }
  return {
    hello: {
      stream: 'hello',
      hello: taker('hello'),
      helloOk: taker('helloOk'),
      helloRefused: taker('helloRefused'),
    },
    'our-batches': { stream: 'our-batches', ack: taker('ack') },
    'their-batches': { stream: 'their-batches', batch: taker('batch') },
    'their-request': { stream: 'their-request', request: taker('request') },
    'our-request': { stream: 'our-request', found: taker('found'), missing: taker('missing') },
    'our-records': { stream: 'our-records' },
    'their-records': { stream: 'their-records', record: taker('record') },
    link: { stream: 'link', link: taker('link') },
  }
}

const MAY_COME: Record<Routes['stream'], readonly FrameName[]> = {
  hello: ['hello', 'helloOk', 'helloRefused'],
  'our-batches': ['ack'],
  'their-batches': ['batch'],
  'their-request': ['request'],
  'our-request': ['found', 'missing'],
  'our-records': [],
  'their-records': ['record'],
  link: ['link'],
}

describe.each(Object.entries(MAY_COME) as [Routes['stream'], readonly FrameName[]][])(
  'on a stream of %s',
  (stream, may) => {
    test.each(Object.entries(FRAME_TYPES) as [FrameName, number][])(
      'a frame of type %s goes where it belongs, or is refused',
      (name, type) => {
        const asked: string[] = []
        const result = route(routesOf(asked)[stream], type, 1234)
        if (may.includes(name)) {
          expect(result).toBe(sink)
          expect(asked).toEqual([`${name} 1234`])
        } else {
          expect(result).toEqual({
            refused: 'frame-on-wrong-stream',
            detail: `a frame of type ${name} on a stream of ${stream}`,
          })
          expect(asked).toEqual([])
        }
      },
    )

    test('a frame of no known type is refused', () => {
      const known = new Set<number>(Object.values(FRAME_TYPES))
      for (let type = 0; type < 256; type += 1) {
        if (known.has(type)) continue
        const asked: string[] = []
        expect(route(routesOf(asked)[stream], type, 0)).toEqual({
          refused: 'unknown-frame-type',
          detail: `type ${type}`,
        })
        expect(asked).toEqual([])
      }
    })
  },
)

test('a taker’s word is passed on: that a frame has to wait, or why it is refused', () => {
  const refused = { refused: 'ack-length', detail: '1 byte' } as const
  expect(route({ stream: 'our-batches', ack: () => 'wait' }, FRAME_TYPES.ack, 1)).toBe('wait')
  expect(route({ stream: 'our-batches', ack: () => refused }, FRAME_TYPES.ack, 1)).toBe(refused)
})
