/** What stands for main in a test of one thread: its ends of the rings, and the product's own code that starts threads. */
import { onTestFinished } from 'vitest'
import type { Logger } from '../../../src/main/lib/log.js'
import { MainRings, type RingHandlers } from '../../../src/main/thread-host/main-rings.js'
import type { Threads } from '../../../src/main/thread-host/threads.js'
import type { NarvalError } from '../../../src/shared/errors.js'
import { createLayout, type Layout, type LayoutOptions } from '../../../src/shared/memory/layout.js'

/** A module of dist: threads have to be started from there, where their entry files are JavaScript. */
export async function fromDist<T>(path: string): Promise<T> {
  return (await import(/* @vite-ignore */ new URL(`../../../dist/${path}`, import.meta.url).href)) as T
}

export interface MainSide {
  readonly layout: Layout
  readonly rings: MainRings
  readonly threads: Threads
  /** Lines that threads had to say, with their level in front. */
  readonly log: string[]
  /** Sets what main does in each pass over its rings besides. */
  readonly onPoll: (also: () => void) => void
  /** Why a thread died, if one did. */
  readonly died: NarvalError[]
}

/** Drains the rings until the test ends; then whatever still runs is ended. */
export async function startMainSide(options: LayoutOptions, handlers: Partial<RingHandlers>): Promise<MainSide> {
  const { Threads: DistThreads } =
    await fromDist<typeof import('../../../src/main/thread-host/threads.js')>('main/thread-host/threads.js')
  const layout = createLayout(options)
  const rings = new MainRings(layout)
  const log: string[] = []
  const died: NarvalError[] = []
  const logger = Object.fromEntries(
    ['error', 'warn', 'info', 'debug', 'trace'].map((level) => [level, (text: string) => log.push(`${level} ${text}`)]),
  ) as unknown as Logger
  const threads = new DistThreads({ layout, log: logger, onDied: (error) => died.push(error) })
  const unexpected = (message: unknown): never => {
    throw new Error(
      `nobody expects ${JSON.stringify(message, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}`,
    )
  }
  let open = true
  let also = (): void => {}
  const served = rings.doorbell.serve(
    () => {
      const found = rings.drain({
        onBatchMaker: handlers.onBatchMaker ?? unexpected,
        onProcessor: handlers.onProcessor ?? unexpected,
        onQuorumWaiter: handlers.onQuorumWaiter ?? unexpected,
      })
      also()
      return found
    },
    () => open,
  )
  onTestFinished(async () => {
    for (const name of ['batch-maker', 'processor', 'quorum-waiter'] as const) await threads.end(name, 'failed')
    open = false
    rings.doorbell.ring()
    await served
  })
  const onPoll = (call: () => void): void => {
    also = call
  }
  return { layout, rings, threads, log, died, onPoll }
}
