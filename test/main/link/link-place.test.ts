/** Who has the link of one worker. */
import { expect, test } from 'vitest'
import { LINK_PROOF_MS } from '../../../src/main/link/limits.js'
import { LinkPlace } from '../../../src/main/link/link-place.js'

test('who comes first holds; who comes later waits, and is refused when the first is heard after a while', () => {
  const place = new LinkPlace<string>()
  expect(place.come('a', 0)).toEqual({ isHolder: true, replaced: undefined })
  expect(place.heard('a', 1)).toBeUndefined()
  expect(place.come('b', 1_000)).toEqual({ isHolder: false, replaced: undefined })
  // It may have been sent before its host vanished.
  expect(place.heard('a', 1_000 + LINK_PROOF_MS - 1)).toBeUndefined()
  expect(place.heard('a', 1_000 + LINK_PROOF_MS)).toBe('b')
  expect(place.heard('a', 9_000), 'it is refused once').toBeUndefined()
  expect(place.holder).toBe('a')
})

test('when the holder is gone, who waits holds, and nobody else does', () => {
  const place = new LinkPlace<string>()
  place.come('a', 0)
  place.come('b', 1)
  expect(place.come('c', 2).replaced, 'the newest waits').toBe('b')
  expect(place.left('b'), 'who has no place leaves none').toBeUndefined()
  expect(place.heard('c', 9_000), 'only the holder shows that it is alive').toBeUndefined()
  expect(place.left('a')).toBe('c')
  expect(place.holder).toBe('c')
  expect(place.left('c')).toBeUndefined()
  expect([place.holder, place.come('d', 3).isHolder]).toEqual([undefined, true])
})

test('one that waits and leaves is not taken for the holder later', () => {
  const place = new LinkPlace<string>()
  place.come('a', 0)
  place.come('b', 1)
  expect(place.left('b')).toBeUndefined()
  expect(place.left('a')).toBeUndefined()
  expect(place.holder).toBeUndefined()
})
