import { Session } from 'node:inspector/promises'
import { describe, expect, it } from 'vitest'
import { type CpuProfile, foldProfile } from '../../../bench/flame/cpu-profile.js'
import { describeRun } from '../../../bench/flame/describe-run.js'
import { escapeHtml, escapeJson, escapeRaw, renderPage } from '../../../bench/flame/page.js'
import type { Recording, ThreadRecord } from '../../../bench/flame/recording.js'
import { toReport } from '../../../bench/flame/report.js'
import { drawTable, stageTable, threadTable } from '../../../bench/flame/tables.js'
import { parseMetrics } from '../../../src/main/local/metrics-text.js'

const OPTIONS = {
  nodes: 4,
  rate: 1000,
  size: 512,
  ackLevel: 'stored',
  node: 0,
  warmup: 0,
  seconds: 2,
  out: 'flame.html',
} as const

const metrics = (bytes: number, gcMajor: number) =>
  parseMetrics(`narval_transaction_bytes_certified_total ${bytes}
narval_transactions_certified_total ${bytes / 512}
narval_thread_utilisation{thread="quorum-waiter"} 0.25
narval_gc_major_total{thread="main"} ${gcMajor}
narval_gc_seconds_total{thread="main"} ${gcMajor / 10}
`)

const osThread = (tid: number, cpuMs: number, bytes = 0) => ({
  tid,
  comm: 'node',
  cpuMs,
  waitMs: 10,
  writes: { calls: 1, bytes },
})

/** Four samples of main: two in the router, one in a ring below it, one in the collector. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: { functionName: '(root)', url: '', lineNumber: -1 }, children: [2, 4] },
    {
      id: 2,
      callFrame: { functionName: 'route', url: 'file:///x/dist/main/network/router.js', lineNumber: 0 },
      children: [3],
    },
    { id: 3, callFrame: { functionName: '</script><b>', url: 'file:///x/dist/shared/memory/ring.js', lineNumber: 0 } },
    { id: 4, callFrame: { functionName: '(garbage collector)', url: '', lineNumber: -1 } },
  ],
  startTime: 0,
  endTime: 4000,
  samples: [2, 2, 3, 4],
  timeDeltas: [1000, 1000, 1000, 1000],
}

const thread = (name: string, tid: number, profile: CpuProfile | undefined): ThreadRecord => ({
  name,
  tid,
  utilisation: name === 'main' ? 0.5 : undefined,
  profile,
  silence: profile === undefined ? 'no answer to Profiler.start within 10 s' : undefined,
})

/** Two seconds; main used 400 ms/s, the quorum-waiter 10, libuv's pool 90, and the profiler's thread is no part of it. */
const RECORDING: Recording = {
  measured: { seconds: 2, threads: [osThread(1, 800), osThread(2, 20), osThread(3, 180, 1000), osThread(9, 500)] },
  profiled: { seconds: 2, threads: [osThread(1, 1200)] },
  metricsBefore: metrics(0, 1),
  metricsAfter: metrics(2_000_000, 4),
  threads: [thread('quorum-waiter', 2, undefined), thread('main', 1, PROFILE)],
  tidsBefore: new Set([1, 2, 3]),
}

describe('the report', () => {
  const report = toReport(RECORDING)

  it('CPU is the kernel’s, without the profiler’s threads, and samples only share it out', () => {
    expect(report.cpu).toBe(500)
    expect(report.threads.map(({ name, cpu }) => [name, cpu])).toEqual([
      ['main', 400],
      ['quorum-waiter', 10],
      ['libuv’s pool', 90],
    ])
    expect(Object.fromEntries([...report.stages].map(([stage, cpu]) => [stage, Object.fromEntries(cpu)]))).toEqual({
      dissemination: { main: 200 },
      rings: { main: 100 },
      gc: { main: 100 },
      unsampled: { 'quorum-waiter': 10 },
      'libuv-pool': { 'libuv’s pool': 90 },
    })
  })

  it('a thread without an event loop has the utilisation that it counts itself', () => {
    expect(report.threads.map(({ utilisation }) => utilisation)).toEqual([0.5, 0.25, undefined])
  })

  it('collections are those of the window, by samples and by the node’s own count', () => {
    expect(report.threads[0]).toMatchObject({ gcShare: 0.25, gcMajor: 3 })
    expect(report.threads[0]!.gcTime).toBeCloseTo(150)
  })

  it('the table of stages adds up to the node, in ms and in ns for each certified byte', () => {
    const text = drawTable(stageTable(report))
    expect(text).toMatch(/^all +400 +10\.0 +90\.0 +500 +100\.0 % +500\.00$/m)
    expect(text).toMatch(/^dissemination\S.* 200 +200 +40\.0 % +200\.00$/m)
    expect(drawTable(threadTable(report))).toMatch(/^main +400 +80\.0 % +50\.0 % +5\.0 +25\.0 % +150 +3 +4 of 4$/m)
  })

  it('no certified byte makes no time per byte, and no division by zero', () => {
    const idle = toReport({ ...RECORDING, metricsAfter: RECORDING.metricsBefore })
    expect(drawTable(stageTable(idle))).not.toMatch(/NaN|Infinity/)
  })
})

describe('the page', () => {
  const page = renderPage(describeRun(OPTIONS, RECORDING, toReport(RECORDING), undefined))

  it('stands alone: it loads nothing', () => {
    expect(page).not.toMatch(/<(?:script|img|iframe)[^>]* src=|<link|@import|url\(/)
  })

  it('has the tables, a graph for each thread with a profile, and says which thread gave none', () => {
    for (const title of ['Threads', 'Time per stage', 'Functions with the most CPU of their own', 'Flamegraphs']) {
      expect(page).toContain(`<h2>${title}</h2>`)
    }
    expect(page.match(/<div class="graph" data-graph=/g)).toHaveLength(1)
    expect(page).toContain('no profile: no answer to Profiler.start within 10 s')
  })

  it('a name from the profile is text, wherever it stands', () => {
    expect(page).toContain('&lt;/script&gt;&lt;b&gt;')
    expect(page).not.toContain('</script><b>')
    expect(JSON.parse(/id="graphs">(.*?)<\/script>/s.exec(page)![1]!)[0].children[0].children[0].name).toBe(
      '</script><b>',
    )
  })

  it('has as many ends of scripts as scripts, for all that the libraries have in them', () => {
    expect(page.match(/<\/script>/gi)).toHaveLength(page.match(/^<script/gm)!.length)
  })

  it('escapes say the same in other characters', () => {
    expect(escapeHtml(`<a href="x">'&`)).toBe('&lt;a href=&quot;x&quot;&gt;&#39;&amp;')
    expect(escapeJson('</script><!--')).toBe('"\\u003c/script>\\u003c!--"')
    expect(escapeRaw("'</SCRIPT>' + '</style>' + '<!--'", 'script')).toBe("'<\\/SCRIPT>' + '</style>' + '<\\!--'")
  })
})

describe('a profile that V8 made', () => {
  it('folds to a tree in which the busy function has most of the samples, and becomes a page', async () => {
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
    function keepBusy(): number {
      let sum = 0
      for (let i = 0; i < 30_000_000; i++) sum = (sum * 31 + i) | 0
      return sum
    }
    keepBusy()
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    const { root } = foldProfile(profile as unknown as CpuProfile, 'main', 1000)
    const samplesIn = (name: string, at = root): number =>
      at.name === name ? at.value : at.children.reduce((total, child) => total + samplesIn(name, child), 0)
    expect(samplesIn('keepBusy')).toBeGreaterThan(root.value / 2)

    const threads = [thread('main', 1, profile as unknown as CpuProfile)]
    const page = renderPage(describeRun(OPTIONS, RECORDING, toReport({ ...RECORDING, threads }), undefined))
    expect(page).toContain('<td>keepBusy</td>')
  })
})
