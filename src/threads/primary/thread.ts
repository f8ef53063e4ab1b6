/**
 * The primary's thread: the primary, its store and its keys, and a message port to main. One long-running Piscina task. It
 * is the store's only writer, and holds its lock.
 */
import { randomInt } from 'node:crypto'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import type { NarvalError } from '../../shared/errors.js'
import { CommitLogHead } from '../../shared/memory/commit-log-head.js'
import { Counters } from '../../shared/memory/counters.js'
import type { MainToPrimary, PrimaryTask } from '../../shared/memory/dialogue/primary.js'
import { startFullCollections } from '../../shared/runtime/garbage-collector.js'
import { report, reportFailure } from '../../shared/runtime/thread-control.js'
import { startThreadStats } from '../../shared/runtime/thread-stats.js'
import { ignoreFailedCommit } from '../../shared/store/failed-commit.js'
import { lockStore } from '../../shared/store/lock.js'
import { Stakes } from './consensus/stakes.js'
import { Ed25519Keys } from './ed25519-keys.js'
import { Inbox } from './inbox.js'
import { EPOCH } from './limits.js'
import { Outbox } from './outbox.js'
import { Primary, type PrimaryOptions, type PrimaryStatus } from './primary.js'
import { checkRecoverable } from './recovery.js'
import { Runner } from './runner.js'
import { PrimaryStore } from './store/primary-store.js'
import type { StoredState } from './store/writes.js'
import { VerificationBudget } from './verification-budget.js'

/** Nonces are so many bits: two runs of one authority do not have the same. */
const NONCE_MAX = 2 ** 48 - 1

/** Why the thread ends; it has the store closed if that can be. */
type End = { readonly error: unknown; readonly canClose: boolean }

export default async function runPrimary(task: PrimaryTask): Promise<void> {
  const { port } = task
  let lock: { release(): void }
  try {
    lock = lockStore(task.store.directory)
  } catch (error) {
    reportFailure(port, error)
    return
  }
  process.on('unhandledRejection', ignoreFailedCommit)
  // lmdb-js prints what it rejects with as well, as a stack between the lines of the log.
  console.error = (...said: unknown[]) =>
    report(port, { type: 'log', level: 'debug', text: `LMDB: ${said.map(String)}` })
  try {
    await run(task)
  } catch (error) {
    reportFailure(port, error)
    throw error
  } finally {
    lock.release()
  }
}

/** Returns when main has closed the port; throws why it had to end. */
async function run(task: PrimaryTask): Promise<void> {
  const { events, memory, port } = task
  const counters = new Counters(memory.counters.primary, 'primary')
  let end: (end: End) => void = () => {}
  const ended = new Promise<End>((resolve) => {
    end = resolve
  })
  const store = openStore(task, counters, (error) => end({ error, canClose: false }))
  const early = await Promise.race([store.open(), ended])
  if (early !== undefined) throw early.error
  const { primary: options } = task
  const state = store.state()
  const keys = new Ed25519Keys(task.seed, options.publicKeys)
  const budget = new VerificationBudget(options.stakes.length)
  const primary = new Primary(optionsOf(task), { keys, store, nonce: randomInt(NONCE_MAX) }, state)
  report(port, { type: 'log', level: 'info', text: startText(primary.status, state) })
  const runner = new Runner({
    primary,
    store,
    keys,
    budget,
    inbox: new Inbox(options.authority, options.stakes.length, budget),
    outbox: new Outbox((message) => events.postMessage(message)),
    counters,
    onEnd: (error) => end({ error, canClose: true }),
  })
  events.on('message', (inputs: MainToPrimary) => runner.push(inputs))
  events.on('close', () => end({ error: undefined, canClose: true }))
  const stopStats = startThreadStats(counters)
  startFullCollections()
  report(port, { type: 'ready' })
  runner.start()
  const { canClose, error } = await ended
  runner.end()
  stopStats()
  // What the last turns wrote counts, whatever ended them.
  if (canClose) {
    await store.close().catch((failure: unknown) => {
      if (error === undefined) throw failure
    })
  }
  if (error !== undefined) throw error
}

function openStore(
  { memory, port, primary, store }: PrimaryTask,
  counters: Counters<'primary'>,
  onFatal: (error: NarvalError) => void,
): PrimaryStore {
  const head = new CommitLogHead(memory.commitLogHead.buffer, memory.commitLogHead.byteOffset)
  const { authority, committeeDigest, gcDepth, publicKeys, rule, stakes } = primary
  return new PrimaryStore(
    {
      ...store,
      settings: {
        authority: encodeBase64(publicKeys[authority]!),
        committeeDigest: Buffer.from(committeeDigest).toString('hex'),
        authorities: publicKeys.length,
        epoch: EPOCH,
        rule,
        gcDepth,
      },
    },
    {
      onFatal,
      onNotice: (text) => report(port, { type: 'log', level: 'warn', text }),
      onCommits: (index) => head.advance(index),
      onFlush: () => flushBegan(counters),
      onFileBytes: (bytes) => counters.set('storeFileBytes', bytes),
      checkRecoverable: () => checkRecoverable(new Stakes(stakes), authority),
    },
  )
}

/** With what the primary begins, for people. */
function startText({ lastCommit, round }: PrimaryStatus, { ownBatches }: StoredState): string {
  if (lastCommit === 0 && round === 0) return 'Begins with a new store'
  const left = ownBatches.length === 0 ? '' : `; ${ownBatches.length} batches of ours are to be ordered`
  return `Resumed at commit ${lastCommit}, our last header is of round ${round}${left}`
}

/** Returns what is to be called when it has ended. There is one at a time. */
function flushBegan(counters: Counters<'primary'>): () => void {
  const beganMs = performance.now()
  counters.set('isFlushing', 1)
  return () => {
    counters.set('isFlushing', 0)
    counters.add('flushes')
    counters.add('flushMs', performance.now() - beganMs)
  }
}

function optionsOf({ primary }: PrimaryTask): PrimaryOptions {
  return { ...primary, workers: primary.workers.map((ids) => new Set(ids)) }
}
