/**
 * `run … worker`: reads the files, starts the worker, and ends it at SIGINT or SIGTERM; a second signal ends at once.
 *
 * V8's flags matter so much that a process without them starts itself again with them, once, and then only passes on
 * signals and the exit code.
 */
import { spawn } from 'node:child_process'
import { readCommittee } from '../../shared/config/committee.js'
import { readKeys } from '../../shared/config/keys.js'
import { defaultParameters, readParameters } from '../../shared/config/parameters.js'
import { MAIN_FULL_COLLECTION_MS, startFullCollections } from '../../shared/runtime/garbage-collector.js'
import { missingV8Flags } from '../../shared/runtime/v8-flags.js'
import { createLogger, type Logger } from '../lib/log.js'
import { watchParent } from '../lib/parent.js'
import { startWorker, type Worker } from '../worker/worker.js'
import { EXIT_FAILURE } from './exit-codes.js'
import type { RunOptions } from './run-options.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** A terminal or a supervisor signals all processes of a group, and our parent passes its signal on: that is one. */
const SAME_SIGNAL_MS = 300

export async function run(options: RunOptions): Promise<number> {
  const missing = missingV8Flags(process.versions.node, process.execArgv)
  if (missing.length > 0) return runAgainWith(missing)
  const stopping = new Stopping()
  const keys = readKeys(options.keys)
  const committee = readCommittee(options.committee)
  const fromFile = options.parameters === undefined ? defaultParameters() : readParameters(options.parameters)
  const parameters = { ...fromFile, ...(options.ackLevel !== undefined && { ackLevel: options.ackLevel }) }
  const log = createLogger('narval::worker', options.logLevel)
  const worker = await startWorker({
    keys,
    committee,
    parameters,
    log,
    workerId: options.id,
    store: options.store,
    benchmark: options.benchmark,
    bind: options.bind ?? '0.0.0.0',
    clients: true,
    ...(options.metrics && { metrics: options.metrics }),
    ...(options.mdns && { peerDiscovery: [(await import('@libp2p/mdns')).mdns()] }),
  })
  stopping.of(worker, log)
  // The process is the worker's own: in somebody else's, as a library, nobody knows how large the heap is.
  startFullCollections(MAIN_FULL_COLLECTION_MS)
  try {
    await worker.stopped
    log.info('Closed')
    return 0
  } catch (error) {
    log.error(String(error))
    return EXIT_FAILURE
  }
}

/** What ends the worker: a signal, or the end of the process that started us. Before it runs, either ends us at once. */
class Stopping {
  private stop: (why: string) => void = () => process.exit(EXIT_FAILURE)

  constructor() {
    for (const signal of SIGNALS) process.on(signal, () => this.stop(signal))
    watchParent(() => this.stop('the parent process is gone'))
  }

  of(worker: Worker, log: Logger): void {
    let askedMs: number | undefined
    this.stop = (why) => {
      const nowMs = performance.now()
      if (askedMs === undefined) {
        askedMs = nowMs
        log.info(`${why}: closing; once more ends at once`)
        void worker.close()
      } else if (nowMs - askedMs > SAME_SIGNAL_MS) process.exit(EXIT_FAILURE)
    }
  }
}

/** Runs the same command with V8's flags, and ends as it ends. */
function runAgainWith(flags: readonly string[]): Promise<number> {
  const args = [...process.execArgv, ...flags, ...process.argv.slice(1)]
  const child = spawn(process.execPath, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NARVAL_CHILD: '1' },
  })
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal))
  watchParent(() => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (signal !== null) process.kill(process.pid, signal)
      resolve(code ?? EXIT_FAILURE)
    })
  })
}
