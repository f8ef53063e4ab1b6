import { describe, expect, it } from 'vitest'
import { environment, environmentLines } from '../../bench/lib/environment.js'
import { drawTable } from '../../bench/lib/table.js'

describe('a table', () => {
  it('aligns columns of figures to the right, also those with missing values, and others to the left', () => {
    const rows = [
      ['seal', '12.5', '±1%'],
      ['lmdb put', '-', ''],
      ['ring', '7', '±12%'],
    ]
    expect(drawTable(['stage', 'ns', 'margin'], rows)).toEqual([
      'stage       ns  margin',
      'seal      12.5     ±1%',
      'lmdb put     -',
      'ring         7    ±12%',
    ])
  })

  it('is as wide as its titles where the cells are narrower, and ends lines without blanks', () => {
    expect(drawTable(['a long title', 'b'], [['x', 'y']])).toEqual(['a long title  b', 'x             y'])
  })

  it('without rows is its titles', () => {
    expect(drawTable(['stage', 'ns'], [])).toEqual(['stage  ns'])
  })

  it('leaves the place of cells that a row does not have empty', () => {
    expect(drawTable(['a', 'b'], [['1'], ['2', '3']])).toEqual(['a  b', '1', '2  3'])
  })
})

describe('an environment', () => {
  it('says this machine, this Node and some commit', () => {
    const found = environment()
    expect(found.node).toBe(process.version)
    expect(found.cores).toBeGreaterThan(0)
    expect(found.memory_bytes).toBeGreaterThan(0)
    expect(found.cpu).not.toBe('')
    expect(found.kernel).toMatch(/^\S+ \S+/)
    expect(found.commit).toMatch(/^\S+$/)
    expect(new Date(found.date).toISOString()).toBe(found.date)
  })

  it('is shown in full', () => {
    const lines = environmentLines({
      cpu: 'Some CPU',
      cores: 2,
      memory_bytes: 8_200_000_000,
      kernel: 'Linux 6.1',
      node: 'v20.1.0',
      commit: 'abc1234-dirty',
      date: '2026-01-02T03:04:05.000Z',
    })
    expect(lines).toEqual([
      'machine  Some CPU, 2 cores, 8.2 GB of memory, Linux 6.1',
      'node     v20.1.0',
      'commit   abc1234-dirty',
      'date     2026-01-02T03:04:05.000Z',
    ])
  })
})
