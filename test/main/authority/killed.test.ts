/** A program that reads commits and is killed -9 again and again: with its cursor it is shown everything, and nothing twice. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CommitCursor } from '../../../src/index.js'
import { localCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'
import { narval } from '../../support/authority-under-test.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

interface Line {
  readonly cursor: CommitCursor
  readonly numbers: readonly number[]
}

const SCRIPT = new URL('../../support/authority-process.mjs', import.meta.url).pathname

test('a reader goes on behind its cursor after each kill -9, and misses and repeats nothing', async () => {
  const seed = 5
  const keys = keysOf(new Uint8Array(32).fill(seed))
  const store = join(temporaryDirectory(), 'store')
  narval.markFresh(store, keys)
  const committee = localCommittee([keys.name], 1, await freePorts(5))
  const seen: Line[] = []

  /** Runs until the reader has shown some batches, and is killed; with the cursor of the last line, as a program has it. */
  const run = async (after: CommitCursor | undefined, batches: number): Promise<Line[]> => {
    const first = 1 + Math.max(0, ...seen.flatMap(({ numbers }) => numbers)) + 100_000
    const options = JSON.stringify({ after, committee, first, seed, store })
    const child = spawn(process.execPath, [SCRIPT, options], { stdio: ['ignore', 'pipe', 'pipe'] })
    const exited = once(child, 'close')
    let [text, problem] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      problem += piece
    })
    try {
      await until(
        () => `it has shown ${batches} batches: ${problem}`,
        () => text.split('\n').length > batches,
      )
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    // A line that was cut was not remembered.
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  }
  for (const batches of [3, 40, 1, 25]) seen.push(...(await run(seen.at(-1)?.cursor, batches)))
  const whole = await run(undefined, seen.length)
  expect(whole.slice(0, seen.length)).toEqual(seen)
  const numbers = whole.flatMap((line) => line.numbers)
  expect(new Set(numbers).size).toBe(numbers.length)
})
