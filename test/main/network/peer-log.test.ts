/** Lines about peers: what happens now and then is said at once, a flood is counted. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { PEER_LINES_BURST, PEER_LINES_INTERVAL_MS } from '../../../src/main/network/limits.js'
import { PeerLog } from '../../../src/main/network/peer-log.js'
import type { Peer } from '../../../src/main/network/peer-table.js'

const lines: string[] = []
const write = (text: string): void => void lines.push(text)
const log = { error: write, warn: write, info: write, debug() {}, trace() {} }
const [alice, bob] = [{ index: 1 }, { index: 2 }] as [Peer, Peer]

beforeEach(() => {
  lines.length = 0
  vi.useFakeTimers()
})
afterEach(() => void vi.useRealTimers())

test('a peer that comes and goes fills no log, its last state is said, and others’ lines come through', () => {
  const peerLog = new PeerLog({ log, nowMs: () => Date.now() })
  for (let i = 0; i < 1_000; i += 1) {
    peerLog.say('info', alice, `Connected to alice ${i}`)
    peerLog.say('warn', alice, `Lost alice ${i}`)
    vi.advanceTimersByTime(PEER_LINES_INTERVAL_MS / 100)
  }
  peerLog.say('warn', bob, 'Lost bob')
  expect(lines.at(-1)).toBe('Lost bob')
  const intervals = 1_000 / 100
  expect(lines.length).toBeLessThanOrEqual(PEER_LINES_BURST + 2 * intervals + 1)
  vi.advanceTimersByTime(PEER_LINES_INTERVAL_MS)
  expect(lines.at(-1)).toMatch(/^Lost alice 999 \(the last of \d+ lines about it in 10 s\)$/)
  const before = lines.length
  vi.advanceTimersByTime(10 * PEER_LINES_INTERVAL_MS)
  expect(lines).toHaveLength(before)
  // After a quiet time it is said at once again.
  peerLog.say('info', alice, 'Connected to alice')
  expect(lines.at(-1)).toBe('Connected to alice')
  peerLog.close()
})
