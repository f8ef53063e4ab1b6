import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { collector } from '../../../src/shared/runtime/garbage-collector.js'

test('a full collection frees what nobody has any more, in a process without flags', async () => {
  const collect = collector()
  const references = Array.from({ length: 100 }, () => new WeakRef(new Uint8Array(1000)))
  const kept = new Uint8Array(1000)
  const reference = new WeakRef(kept)
  // A WeakRef holds its target until the end of the turn that made it.
  await turn()
  collect()
  expect(references.filter((of) => of.deref() !== undefined)).toEqual([])
  expect(reference.deref()).toBe(kept)
})
