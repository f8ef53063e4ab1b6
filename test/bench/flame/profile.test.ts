/** Runs in pairs: it names the executable and starts none. */
import { describe, expect, it } from 'vitest'
import { nodeOfCommand } from '../../../bench/flame/committee.js'
import {
  byStage,
  type CpuProfile,
  foldProfile,
  SAMPLE_LATE_US,
  threadNameOf,
} from '../../../bench/flame/cpu-profile.js'
import type { Session } from '../../../bench/flame/inspector.js'
import { parseOptions } from '../../../bench/flame/options.js'
import { nativeThreadOf, type OsThread, parseOsThread, usedBetween } from '../../../bench/flame/os-threads.js'
import { nameOf } from '../../../bench/flame/recording.js'

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 0 })

/** main calls a() twice, once as compiled by another tier of V8, and a() calls b(). */
const NODES: CpuProfile['nodes'] = [
  { id: 1, callFrame: frame('(root)'), children: [2, 3, 4, 6] },
  { id: 2, callFrame: frame('(idle)') },
  { id: 3, callFrame: frame('(garbage collector)') },
  { id: 4, callFrame: frame('a', 'file:///x/dist/main/network/router.js'), children: [5] },
  { id: 5, callFrame: frame('b', 'file:///x/dist/shared/memory/ring.js') },
  { id: 6, callFrame: frame('a', 'file:///x/dist/main/network/router.js') },
]

function profile(samples: readonly number[], deltas: readonly number[] = samples.map(() => 1000)): CpuProfile {
  return { nodes: NODES, startTime: 0, endTime: 1000, samples, timeDeltas: deltas }
}

describe('folding', () => {
  it('one function under one caller is one node, with its own samples and those of what it called', () => {
    const { root } = foldProfile(profile([4, 4, 5, 6, 3]), 'main', 1000)
    expect(root).toMatchObject({ name: 'main', value: 5, self: 0 })
    expect(root.children.map(({ name, self, value }) => [name, self, value])).toEqual([
      ['a', 3, 4],
      ['garbage collector', 1, 1],
    ])
    expect(root.children[0]!.children).toMatchObject([
      { name: 'b', self: 1, value: 1, where: 'dist/shared/memory/ring.js:1' },
    ])
    expect(byStage(root)).toEqual(
      new Map([
        ['dissemination', 3],
        ['rings', 1],
        ['gc', 1],
      ]),
    )
  })

  it('samples of a thread that is asleep are told apart and counted nowhere', () => {
    const folded = foldProfile(profile([2, 2, 2, 4]), 'main', 1000)
    expect(folded).toMatchObject({ samples: 4, awake: 1, counted: 1 })
    expect(folded.root.children.map(({ name }) => name)).toEqual(['a'])
  })

  it('a sample that waited for a core is not counted, unless there are too few others', () => {
    const punctual = Array.from({ length: 60 }, () => 4)
    const late = 1000 + SAMPLE_LATE_US + 1
    const deltas = [...punctual.map((_, index) => 1000 + (index % 2) * SAMPLE_LATE_US), late, late]
    const folded = foldProfile(profile([...punctual, 5, 5], deltas), 'main', 1000)
    expect(folded).toMatchObject({ awake: 62, counted: 60, countsLate: false })
    expect(byStage(folded.root).has('rings')).toBe(false)
    expect(foldProfile(profile([4, 5], [1000, late]), 'main', 1000)).toMatchObject({ counted: 2, countsLate: true })
  })

  it('a machine on which every sample comes later than it was asked for has late ones all the same', () => {
    // As on a quiet virtual machine: the profiler itself wakes late, and its samples are as good as any.
    const many = Array.from({ length: 2_000 }, () => 4)
    const pace = (index: number): number => 1_105 + (index % 90)
    const late = 1_105 + 90 + 2 * SAMPLE_LATE_US
    const folded = foldProfile(
      profile([...many, 5, 5], [...many.map((_, index) => pace(index)), late, late]),
      'x',
      1000,
    )
    expect(folded).toMatchObject({ awake: 2_002, counted: 2_000, countsLate: false })
    expect(byStage(folded.root).has('rings')).toBe(false)
  })

  it('a quarter of the samples count at least, however late they come', () => {
    const deltas = Array.from({ length: 20_000 }, (_, index) => 300 + index * 500)
    const folded = foldProfile(
      profile(
        deltas.map(() => 4),
        deltas,
      ),
      'x',
      1000,
    )
    expect(folded.counted).toBeGreaterThanOrEqual(5_000)
    expect(folded.counted).toBeLessThan(5_010)
  })

  it('a profile without a sample is a tree without children', () => {
    expect(foldProfile(profile([]), 'main', 1000)).toMatchObject({ counted: 0, root: { value: 0, children: [] } })
  })

  it('a function of an add-on does not bear the name of another that V8 knows it by', () => {
    const nodes: CpuProfile['nodes'] = [
      { id: 1, callFrame: frame('(root)'), children: [2] },
      { id: 2, callFrame: frame('startWriting', 'file:///x/node_modules/lmdb/write.js'), children: [3] },
      { id: 3, callFrame: frame('listAttrsSync') },
    ]
    const { root } = foldProfile({ ...profile([3]), nodes }, 'processor', 1000)
    expect(root.children[0]!.children[0]).toMatchObject({ name: '(add-on)', kind: 'native', stage: 'store' })
  })

  it('a thread is named by the functions that it has run, also one that sleeps while it is profiled', async () => {
    const session = (title: string, ...urls: string[]): Session => ({
      title,
      url: 'file:///x/piscina/worker.js',
      send: async <T>(method: string) => {
        expect(method).toBe('Profiler.getBestEffortCoverage')
        return { result: urls.map((url) => ({ url })) } as T
      },
    })
    const processor = 'file:///x/dist/threads/processor/thread.js'
    expect(await nameOf(session('[worker 1]', 'node:net', processor))).toBe('processor')
    expect(await nameOf(session('[worker 2]', 'node:net'))).toBe('[worker 2]')
    expect(await nameOf(session('main', processor))).toBe('main')
  })

  it('a thread is named by the directory of its code, whatever file it was started with', () => {
    expect(threadNameOf(['node:net', 'file:///x/node_modules/piscina/dist/worker.js'])).toBeUndefined()
    expect(threadNameOf(['file:///x/piscina/worker.js', 'file:///x/dist/threads/batch-maker/thread.js'])).toBe(
      'batch-maker',
    )
  })
})

describe('threads of the kernel', () => {
  const STAT = `12 (node (x) y) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0`

  it('CPU and waiting come from schedstat, and CPU in ticks of 10 ms from stat where there is none', () => {
    const io = 'rchar: 1\nwchar: 900\nsyscr: 2\nsyscw: 3\n'
    expect(parseOsThread(12, STAT, '1234000000 5000000 9\n', io)).toEqual({
      tid: 12,
      comm: 'node (x) y',
      cpuMs: 1234,
      waitMs: 5,
      writes: { calls: 3, bytes: 900 },
    })
    expect(parseOsThread(12, STAT, undefined, undefined)).toEqual({
      tid: 12,
      comm: 'node (x) y',
      cpuMs: 1750,
      waitMs: undefined,
      writes: undefined,
    })
    expect(parseOsThread(12, undefined, '1 1 1', io)).toBeUndefined()
  })

  it('what was used is the difference, and all of it for a thread that is new', () => {
    const at = (tid: number, cpuMs: number, bytes: number): OsThread => ({
      tid,
      comm: 'node',
      cpuMs,
      waitMs: cpuMs,
      writes: { calls: bytes / 100, bytes },
    })
    expect(usedBetween([at(1, 10, 100), at(3, 1, 0)], [at(1, 15, 300), at(2, 7, 0)])).toEqual([
      at(1, 5, 200),
      at(2, 7, 0),
    ])
  })

  it('without names, who writes files is libuv’s pool, who only wakes others is V8’s, who is new is the profiler’s', () => {
    const thread = (comm: string, calls: number, bytes: number): OsThread => ({
      tid: 1,
      comm,
      cpuMs: 1,
      waitMs: 1,
      writes: { calls, bytes },
    })
    expect(nativeThreadOf(thread('node', 10, 40_000), false)).toBe('libuv-pool')
    expect(nativeThreadOf(thread('node', 10, 80), false)).toBe('v8-platform')
    expect(nativeThreadOf(thread('node', 0, 0), false)).toBe('v8-platform')
    expect(nativeThreadOf(thread('node', 0, 0), true)).toBe('profiler')
    expect(nativeThreadOf(thread('libuv-worker', 0, 0), false)).toBe('libuv-pool')
    expect(nativeThreadOf(thread('V8Worker', 10, 40_000), false)).toBe('v8-platform')
    expect(nativeThreadOf({ ...thread('node', 0, 0), writes: undefined }, false)).toBe('native-rest')
  })
})

describe('the node to profile', () => {
  const ARGS =
    '/usr/bin/node dist/node.js run --keys /t/l/.node-2.json --metrics 127.0.0.1:9000 authority --rule shoal'.split(' ')

  it('is found by its command line, which says where its metrics and its log are', () => {
    expect(nodeOfCommand(7, ARGS)).toEqual({
      pid: 7,
      index: 2,
      metrics: { host: '127.0.0.1', port: 9000 },
      log: '/t/l/logs/authority-2.log',
    })
  })

  it('is no client and no other process', () => {
    expect(nodeOfCommand(7, ['/usr/bin/node', 'dist/node.js', 'client', '127.0.0.1:1'])).toBeUndefined()
    expect(nodeOfCommand(7, [])).toBeUndefined()
  })
})

describe('options', () => {
  it('a smoke run has no warm-up and windows of a second', () => {
    expect(parseOptions(['--smoke', '--rate', '100'])).toMatchObject({ warmup: 0, seconds: 1, rate: 100 })
    expect(parseOptions([])).toMatchObject({ nodes: 4, node: 0, out: 'flame.html' })
  })

  it.each([
    [['--nodes', '0']],
    [['--nodes', '2', '--node', '2']],
    [['--ack-level', 'soon']],
    [['--no-such-flag']],
    [['extra']],
  ])('%s is refused', (args) => {
    expect(() => parseOptions(args)).toThrow(expect.objectContaining({ exitCode: 1 }))
  })
})
