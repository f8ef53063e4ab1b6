/** The pure parts of an authority. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { authorityHealth } from '../../../src/main/authority/authority-health.js'
import { ORDERED_WAIT_LOG_MS } from '../../../src/main/authority/limits.js'
import { mergeMetrics } from '../../../src/main/authority/merge-metrics.js'
import { authorityFilesNeeded } from '../../../src/main/authority/open-files.js'
import { OrderedBatches } from '../../../src/main/authority/ordered-batches.js'
import { Submits } from '../../../src/main/authority/submits.js'
import type { PrimaryHealth } from '../../../src/main/primary/watch/primary-health.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { silent } from '../../support/started-node.js'

const committeeOf = (authorities: number, workers = 1) =>
  parseCommittee(
    localCommittee(
      Array.from({ length: authorities }, (_, at) => keysOf(new Uint8Array(32).fill(at + 1)).name),
      workers,
      4000,
    ),
  )

describe('submits', () => {
  test('go to the worker with the fewest waiting, and in turn where they are equal', async () => {
    const waiting = [0, 0, 0]
    const taken: number[] = []
    const submits = new Submits(
      waiting.map((_, at) => ({
        get submitsWaiting() {
          return waiting[at]!
        },
        submit: async () => void taken.push(at),
      })),
    )
    for (let n = 0; n < 6; n += 1) await submits.submit(new Uint8Array(1))
    expect(taken.splice(0)).toEqual([0, 1, 2, 0, 1, 2])
    waiting[0] = 5
    waiting[2] = 1
    for (let n = 0; n < 3; n += 1) await submits.submit(new Uint8Array(1))
    expect(taken).toEqual([1, 1, 1])
  })
})

describe('metrics of several parts', () => {
  test('are one text in which each family stands once', () => {
    const text = (value: number): string =>
      `# HELP a Help of a.\n# TYPE a counter\na ${value}\n\n# HELP b Help.\n# TYPE b gauge\nb{peer="x"} ${value}\nb{peer="}"} 1\n`
    const merged = mergeMetrics([
      { text: '# HELP p Help.\n# TYPE p gauge\np 1\n' },
      { text: text(1), labels: { worker: '0' } },
      { text: text(2), labels: { worker: '1' } },
    ])
    expect(merged).toBe(
      [
        '# HELP p Help.\n# TYPE p gauge\np 1',
        '# HELP a Help of a.\n# TYPE a counter\na{worker="0"} 1\na{worker="1"} 2',
        '# HELP b Help.\n# TYPE b gauge\nb{peer="x",worker="0"} 1\nb{peer="}",worker="0"} 1\nb{peer="x",worker="1"} 2\nb{peer="}",worker="1"} 1\n',
      ].join('\n\n'),
    )
  })
})

test('what is of the process is there once, of the first part', () => {
  const text = (value: number): string =>
    ['process_cpu_user_seconds_total', 'narval_build_info', 'narval_rss_bytes_max', 'narval_own']
      .map((name) => `# HELP ${name} Help.\n# TYPE ${name} gauge\n${name} ${value}\n`)
      .join('\n')
  const merged = mergeMetrics([{ text: text(1) }, { text: text(2), labels: { worker: '0' } }])
  expect(merged.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
    'process_cpu_user_seconds_total 1',
    'narval_build_info 1',
    'narval_rss_bytes_max 1',
    'narval_own 1',
    'narval_own{worker="0"} 2',
  ])
})

describe('open files', () => {
  test('are more for each worker, and for its primary', () => {
    const needed = (workers: number, metrics?: { host: string; port: number }) =>
      authorityFilesNeeded({
        clients: true,
        committee: committeeOf(4, workers),
        metrics: metrics!,
        ownIndex: 0,
        parameters: defaultParameters(),
      })
    expect(needed(2) - needed(1)).toBe(needed(3) - needed(2))
    expect(2 * needed(1)).toBeGreaterThan(needed(2))
    expect(needed(1, { host: '127.0.0.1', port: 1 })).toBeGreaterThan(needed(1))
  })
})

describe('an ordered batch', () => {
  const digest = new Uint8Array(32).fill(9)
  const batch = { digest, author: 1, worker: 0, sequence: 1n }
  const bytes = new Uint8Array(100)

  function batches(found: () => boolean, authorities = 4, ownIndex = 0, oldest = 0, log = silent) {
    const committee = committeeOf(authorities)
    const asked: string[] = []
    const fetch = (author: number, digests: readonly Uint8Array[]): void => {
      expect(digests).toEqual([digest])
      asked.push(String(author))
    }
    const read = async () => (found() ? { bytes } : undefined)
    const workers = new Map([[0, { read, fetch, firstKept: () => oldest }]])
    const ordered = new OrderedBatches({ committee, ownIndex, workers, log })
    return { asked, ordered, waiting: () => (ordered as unknown as { waiting: Map<string, unknown> }).waiting.size }
  }

  test('that is here is read, and nobody is asked', async () => {
    const { asked, ordered, waiting } = batches(() => true)
    expect(await ordered.bytesOf(batch, 1, new AbortController().signal)).toBe(bytes)
    expect([asked, waiting()]).toEqual([[], 0])
  })

  test('that is not here is asked of its author, and read as soon as it is stored', async () => {
    let isHere = false
    const { asked, ordered, waiting } = batches(() => isHere)
    const reading = ordered.bytesOf(batch, 1, new AbortController().signal)
    await Promise.resolve()
    expect(asked).toEqual(['1'])
    ordered.stored(new Uint8Array(32))
    isHere = true
    ordered.stored(digest)
    expect(await reading).toBe(bytes)
    expect([asked, waiting()]).toEqual([['1'], 0])
  })

  test('of our own that was lost is asked of another: ourselves we would ask to send it', async () => {
    const { asked, ordered } = batches(() => false, 4, 1)
    const controller = new AbortController()
    const reading = ordered.bytesOf(batch, 1, controller.signal)
    await Promise.resolve()
    expect(asked).toEqual(['2'])
    controller.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
  })

  test.each([
    [4, /^Commit 7 has the batch \S+ of \S+, which worker 0 does not have yet: .*asked of the others$/, false],
    [1, /^Commit 7 has the batch \S+ of \S+, which worker 0 has lost, .*commits\(\{ after: 7 \}\)$/, true],
  ])(
    'that does not come in a committee of %i is named by log and health, with what to do',
    async (size, text, isLost) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      onTestFinished(() => void vi.useRealTimers())
      const lines: string[] = []
      const { ordered } = batches(() => false, size, 0, 0, { ...silent, warn: (line) => void lines.push(line) })
      const controller = new AbortController()
      const reading = ordered.bytesOf({ ...batch, author: 0 }, 7, controller.signal)
      const later = ordered.bytesOf({ ...batch, author: 0 }, 9, controller.signal)
      await vi.advanceTimersByTimeAsync(ORDERED_WAIT_LOG_MS / 2)
      expect([lines, ordered.late]).toEqual([[], undefined])
      await vi.advanceTimersByTimeAsync(ORDERED_WAIT_LOG_MS)
      expect(lines[0]).toMatch(text)
      expect(lines).toHaveLength(2)
      expect(ordered.late).toEqual({ text: `c${lines[0]!.slice(1)}`, isLost })
      controller.abort(new Error('enough'))
      await Promise.all([reading, later].map((read) => expect(read).rejects.toThrow('enough')))
      expect(ordered.late).toBeUndefined()
    },
  )

  test('is what makes an authority unfit that has lost it for ever, and not one that may get it', () => {
    const healthy = { ok: true, problems: [] as string[] }
    const healthWith = (isLost: boolean) =>
      authorityHealth(healthy as unknown as PrimaryHealth, new Map(), { text: 'it is late', isLost })
    expect(healthWith(false)).toMatchObject({ ok: true, problems: ['it is late'] })
    expect(healthWith(true)).toMatchObject({ ok: false, problems: ['it is late'] })
    expect(authorityHealth(healthy as unknown as PrimaryHealth, new Map())).toMatchObject({ ok: true, problems: [] })
  })

  test('that came between the look and the question is not waited for', async () => {
    let looks = 0
    const { ordered } = batches(() => {
      looks += 1
      if (looks === 1) queueMicrotask(() => ordered.stored(digest))
      return looks > 1
    })
    expect(await ordered.bytesOf(batch, 1, new AbortController().signal)).toBe(bytes)
    expect(looks).toBe(2)
  })

  test('that retention has deleted everywhere is an error that says where the order begins', async () => {
    const { asked, ordered } = batches(() => false, 4, 0, 8)
    const reading = ordered.bytesOf(batch, 7, new AbortController().signal)
    await Promise.resolve()
    ordered.stored(digest)
    await expect(reading).rejects.toMatchObject({ code: 'ERR_COMMITS_PRUNED', oldest: 8 })
    expect(asked).toEqual(['1'])
    const kept = new AbortController()
    const waiting = ordered.bytesOf(batch, 8, kept.signal)
    ordered.stored(digest)
    kept.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  test('in a committee of one is asked of nobody', async () => {
    const { asked, ordered, waiting } = batches(() => false, 1)
    const controller = new AbortController()
    const reading = ordered.bytesOf({ ...batch, author: 0 }, 1, controller.signal)
    controller.abort(new Error('enough'))
    await expect(reading).rejects.toThrow('enough')
    expect([asked, waiting()]).toEqual([[], 0])
  })
})
