/** kill -9 at the steps that a process does to the files of one directory (preload/steps.c): at some by a seed, or at all. */
import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'
import { seeded } from './random.js'

export interface Killed {
  /** What the process had said on stdout. */
  readonly lines: readonly string[]
  /** The step that it did not do any more, or how many there were. */
  readonly step: number
  readonly what: string
  readonly isKilled: boolean
}

/** Where a process is killed: before a step, or with half of its pages written; never if it is step 0. */
export interface KillAt {
  readonly step: number
  readonly isTorn: boolean
}

/** Whether all steps were asked for. Otherwise there are some, by NARVAL_CRASH_SEED. */
export const killsAtAllSteps = process.env.NARVAL_CRASH_STEPS === 'all'

/** Runs a script with these options until it ends, or is killed. `preload` is the environment that `preloaded` makes. */
export function runKilled(
  script: string,
  options: { readonly directory: string },
  preload: Readonly<Record<string, string>>,
  { isTorn, step: kill }: KillAt,
): Killed {
  const { signal, status, stderr, stdout } = spawnSync(process.execPath, [script, JSON.stringify(options)], {
    encoding: 'utf8',
    timeout: 60_000,
    env: {
      ...process.env,
      ...preload,
      NARVAL_TEST_STEPS_IN: options.directory,
      NARVAL_TEST_STEPS_KILL: String(kill),
      ...(isTorn && { NARVAL_TEST_STEPS_TORN: '1' }),
    },
  })
  const [, how, step, what] = /^(ended|killed) (\d+) ?(.*)$/m.exec(stderr) ?? []
  expect([signal, status], stderr).toEqual(how === 'killed' ? ['SIGKILL', null] : [null, 0])
  return { lines: stdout.split('\n').slice(0, -1), step: Number(step), what: what ?? '', isKilled: how === 'killed' }
}

/**
 * Has one run undisturbed, which must say `done` at its end, and then kills at so many steps, or at all. `run` runs the
 * process and looks at what it left. Returns the kinds of steps that a process was killed at, and how often.
 */
export async function killAtSteps(sampled: number, run: (at: KillAt) => Promise<Killed>): Promise<Map<string, number>> {
  const kinds = new Map<string, number>()
  let count = 0
  const killAt = async (step: number, isTorn: boolean): Promise<Killed> => {
    const ran = await run({ step, isTorn })
    if (!ran.isKilled) return ran
    const kind = ran.what.replaceAll(/\d+/g, 'N')
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    count += 1
    return ran
  }
  const whole = await killAt(0, false)
  expect(whole.lines.at(-1)).toBe('done')
  if (!killsAtAllSteps) {
    const random = seeded(Number(process.env.NARVAL_CRASH_SEED ?? 1))
    for (let n = 0; n < sampled; n += 1) await killAt(1 + Math.floor(random() * whole.step), random() < 0.5)
    // Two runs take not quite the same steps.
    expect(count).toBeGreaterThan(sampled / 2)
    return kinds
  }
  for (let step = 1; ; step += 1) {
    const ran = await killAt(step, false)
    if (!ran.isKilled) break
    if (ran.what.startsWith('write')) await killAt(step, true)
  }
  console.info(`${count} runs were killed: ${JSON.stringify(Object.fromEntries(kinds))}`)
  return kinds
}

/** What was wrong after a process was killed is said with the step. */
export async function atStep({ step, what }: Killed, looked: Promise<void>): Promise<void> {
  await looked.catch((error: Error) => {
    error.message = `step ${step} (${what}): ${error.message}`
    throw error
  })
}
