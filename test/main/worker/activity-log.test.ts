import { expect, test } from 'vitest'
import { ActivityLog } from '../../../src/main/worker/activity-log.js'

test('a line says what was sealed and certified since the last one, with the last digest; without either there is none', () => {
  const lines: string[] = []
  const activity = new ActivityLog({
    error() {},
    warn() {},
    info: (text) => void lines.push(text),
    debug() {},
    trace() {},
  })
  activity.tick()
  expect(lines).toEqual([])
  activity.sealed()
  activity.sealed()
  activity.certified(new Uint8Array(32).fill(1), 3, 30)
  activity.certified(new Uint8Array(32).fill(2), 4, 40)
  activity.tick()
  const digest = Buffer.alloc(32, 2).toString('base64')
  expect(lines).toEqual([
    `Sealed 2 batches, certified 2 of 7 transactions, 70 B, in 10 s; the last certified is ${digest}`,
  ])
  activity.tick()
  expect(lines).toHaveLength(1)
  activity.sealed()
  activity.tick()
  expect(lines.at(-1)).toMatch(/^Sealed 1 batches, certified 0 of 0 transactions, 0 B, in 10 s; the last certified is/)
})
