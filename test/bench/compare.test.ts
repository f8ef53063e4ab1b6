import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Cleanup } from '../../bench/lib/cleanup.js'
import { compare, comparedFigure } from '../../bench/lib/compare.js'
import type { Environment } from '../../bench/lib/environment.js'
import { ReportError, readReport, writeReport } from '../../bench/lib/report.js'
import { cpuRow, latencyRow, rateRow } from '../../bench/lib/row.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const machine: Environment = {
  cpu: 'Some CPU',
  cores: 2,
  memory_bytes: 8_000_000_000,
  kernel: 'Linux 6.1',
  node: 'v20.1.0',
  commit: 'abc1234',
  date: '2026-01-02T03:04:05.000Z',
}
const name = (stage: string, what: string) => ({ stage, case: what, op: 'op' })
const rate = (stage: string, what: string, ns: number) => rateRow(name(stage, what), ns, 10, { rme_percent: 1 })

describe('a comparison', () => {
  it('says of each row how its time stands to that of the earlier one of its name', () => {
    const earlier = { environment: machine, rows: [rate('seal', 'b', 100), rate('seal', 'a', 200)] }
    const now = { environment: machine, rows: [rate('seal', 'a', 100), rate('seal', 'b', 150)] }
    expect(compare(now, earlier, ['seal'])).toEqual({ cells: ['×0.500', '×1.50'], notes: [] })
  })

  it('is of the time per op, else of the median latency, else of the time per byte', () => {
    expect(comparedFigure(rateRow(name('x', 'y'), 5, 10, { p50_ns: 7, p99_ns: 8 }))).toBe(5)
    expect(comparedFigure(latencyRow(name('x', 'y'), { p50_ns: 7, p99_ns: 8 }))).toBe(7)
    expect(comparedFigure(cpuRow(name('x', 'y'), 1.5))).toBe(1.5)
  })

  it('names each row that is in only one of the two', () => {
    const earlier = { environment: machine, rows: [rate('seal', 'gone', 1)] }
    const now = { environment: machine, rows: [rate('seal', 'come', 1)] }
    expect(compare(now, earlier, ['seal'])).toEqual({
      cells: ['new'],
      notes: ['only now: seal: come', 'only earlier: seal: gone'],
    })
  })

  it('takes a row of the same name in another stage for another row', () => {
    const earlier = { environment: machine, rows: [rate('ring', 'a', 1)] }
    const now = { environment: machine, rows: [rate('seal', 'a', 1)] }
    expect(compare(now, earlier, ['seal', 'ring']).cells).toEqual(['new'])
  })

  it('does not name the rows of stages that were not run, and says how many there are', () => {
    const earlier = { environment: machine, rows: [rate('seal', 'a', 1), rate('lmdb', 'a', 1), rate('lmdb', 'b', 1)] }
    const now = { environment: machine, rows: [rate('seal', 'a', 1)] }
    const { notes } = compare(now, earlier, ['seal'])
    expect(notes).toEqual(['2 earlier rows are of stages that were not run now'])
  })

  it('warns in one line when machine or Node are others, and not of another commit or date', () => {
    const earlier = { environment: machine, rows: [] }
    const later = { ...machine, commit: 'def5678', date: '2026-02-02T03:04:05.000Z' }
    expect(compare({ environment: later, rows: [] }, earlier, []).notes).toEqual([])
    const other = { ...machine, node: 'v24.0.0', cores: 64 }
    expect(compare({ environment: other, rows: [] }, earlier, []).notes).toEqual([
      'warning: made with something else, so ratios say little: cores 2, now 64; node v20.1.0, now v24.0.0',
    ])
  })

  it('has no ratio where there is nothing to divide by', () => {
    const earlier = { environment: machine, rows: [rate('seal', 'a', 0)] }
    const now = { environment: machine, rows: [rate('seal', 'a', 1)] }
    expect(compare(now, earlier, ['seal']).cells).toEqual(['-'])
  })
})

describe('a file of results', () => {
  it('is read back as it was written', () => {
    const file = join(temporaryDirectory(), 'results.json')
    const report = {
      environment: machine,
      settings: { time_ms: 20 },
      rows: [rate('seal', 'a', 1), latencyRow(name('rings', 'b'), { p50_ns: 1, p99_ns: 2 }), cpuRow(name('s', 'c'), 3)],
    }
    writeReport(file, report)
    expect(readReport(file)).toEqual(report)
  })

  it('that is not there, not JSON, or something else is refused with one line that names it', () => {
    const directory = temporaryDirectory()
    const file = join(directory, 'results.json')
    const refusal = (content?: string): string => {
      if (content !== undefined) writeFileSync(file, content)
      try {
        readReport(file)
      } catch (error) {
        expect(error).toBeInstanceOf(ReportError)
        return (error as Error).message
      }
      return 'accepted'
    }
    const refusals = [
      refusal(),
      refusal('{"rows": ['),
      refusal('[]'),
      refusal('{"environment": {}, "settings": {}, "rows": []}'),
      refusal(JSON.stringify({ environment: machine, settings: {}, rows: [{ stage: 'seal' }] })),
    ]
    for (const text of refusals) {
      expect(text).toContain(file)
      expect(text).not.toContain('\n')
    }
    expect(refusals[1]).toContain('it is not JSON')
    expect(refusals[4]).toContain('rows.0.case')
  })

  it('that cannot be written is refused with one line', () => {
    const report = { environment: machine, settings: {}, rows: [] }
    const file = join(temporaryDirectory(), 'missing', 'results.json')
    expect(() => writeReport(file, report)).toThrow(ReportError)
  })
})

describe('a cleanup', () => {
  it('removes what was made, and the directory around it with the last', () => {
    const outer = temporaryDirectory()
    const cleanup = new Cleanup(join(outer, 'bench'))
    const first = cleanup.directory('store')
    const second = cleanup.directory('store')
    writeFileSync(join(first, 'data'), 'x')
    cleanup.remove(first)
    expect(readdirSync(join(outer, 'bench'))).toHaveLength(1)
    writeFileSync(join(second, 'data'), 'x')
    cleanup.all()
    expect(readdirSync(outer)).toEqual([])
  })

  it('leaves what others have in the same place', () => {
    const outer = temporaryDirectory()
    const cleanup = new Cleanup(outer)
    mkdirSync(join(outer, 'of-others'))
    cleanup.directory('store')
    cleanup.all()
    expect(readdirSync(outer)).toEqual(['of-others'])
  })
  it('removes what a process left that was killed, and not what one uses that runs', () => {
    const outer = temporaryDirectory()
    const pid = spawnSync(process.execPath, ['--version']).pid
    mkdirSync(join(outer, `store-${pid}-abc`))
    mkdirSync(join(outer, `store-${process.pid}-abc`))
    const cleanup = new Cleanup(outer)
    cleanup.directory('other')
    cleanup.all()
    expect(readdirSync(outer)).toEqual([`store-${process.pid}-abc`])
  })
})
