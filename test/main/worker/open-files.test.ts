/** How many files a worker may have open, and what it says where there are too few. */
import { readdirSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { OPEN_FILES_BASE } from '../../../src/main/worker/limits.js'
import {
  openFilesLimit,
  openFilesNeeded,
  openFilesProblem,
  parseOpenFilesLimit,
} from '../../../src/main/worker/open-files.js'
import { startNode } from '../../support/started-node.js'

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units     
Max processes             62987                62987                processes 
Max open files            1024                 524288               files     
Max locked memory         unlimited            unlimited            bytes     
`

test('the limit is the soft one, and none where there is none', () => {
  expect(parseOpenFilesLimit(LIMITS)).toBe(1024)
  expect(parseOpenFilesLimit(LIMITS.replace('1024  ', 'unlimited'))).toBeUndefined()
  expect(parseOpenFilesLimit('')).toBeUndefined()
})

test('more is needed for more peers, clients, metrics and a primary elsewhere', () => {
  const least = { authorities: 1, clientConnectionsMax: 0, hasMetrics: false, hasPrimaryPort: false }
  const more = [{ authorities: 2 }, { clientConnectionsMax: 1 }, { hasMetrics: true }, { hasPrimaryPort: true }]
  for (const change of more) expect(openFilesNeeded({ ...least, ...change })).toBeGreaterThan(openFilesNeeded(least))
  const clients = (clientConnectionsMax: number): number => openFilesNeeded({ ...least, clientConnectionsMax })
  expect(clients(1_001) - clients(1)).toBe(1_000)
})

test('too few are said in one line, with what to do', () => {
  expect(openFilesProblem(2_000, 2_000)).toBeUndefined()
  expect(openFilesProblem(2_000, undefined)).toBeUndefined()
  const line = openFilesProblem(2_000, 1_999)
  expect(line).toMatch(/^This process may have 1999 files open, and needs 2000 .* raise the limit \(ulimit -n, [^\n]*$/)
})

test('a worker without connections has as many open as is counted for it, at most', async (test) => {
  if (process.platform !== 'linux') return test.skip('where open files can be counted')
  const open = (): number => readdirSync('/proc/self/fd').length
  const before = open()
  const { node } = await startNode({}, true)
  expect(open() - before).toBeLessThanOrEqual(OPEN_FILES_BASE)
  onTestFinished(() => node.close())
  expect(openFilesLimit()).toBeGreaterThan(0)
})
