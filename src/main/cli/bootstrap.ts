/** `bootstrap`: a node of the hash table in which a committee finds itself; ends in order at SIGINT, SIGTERM or SIGHUP. */
import type { TcpAddress } from '../../shared/config/address.js'
import { readCommittee } from '../../shared/config/committee.js'
import { readKeys } from '../../shared/config/keys.js'
import { NarvalError } from '../../shared/errors.js'
import { startBootstrap } from '../kad/bootstrap.js'
import { createLogger, type LogLevel } from '../lib/log.js'
import { watchParent } from '../lib/parent.js'
import { watchSignals } from '../lib/signals.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { leave } from './leave.js'

export interface BootstrapCommandOptions {
  /** Path of the committee file. */
  readonly committee: string
  readonly listen: TcpAddress
  /** Path of a key file of its own. */
  readonly keys?: string
  readonly bootstrap?: readonly string[]
  readonly logLevel: LogLevel
}

/** The exit code. */
export async function bootstrap(options: BootstrapCommandOptions): Promise<number> {
  const interrupt = watchSignals(() => leave(EXIT_FAILURE))
  watchParent(() => interrupt.stop('the parent process is gone'))
  const { signal } = interrupt
  const log = createLogger('narval::bootstrap', options.logLevel)
  signal.addEventListener('abort', () => log.info(`${signal.reason}: closing; once more ends at once`))
  const committee = readCommittee(options.committee)
  try {
    const node = await startBootstrap({
      committee,
      listen: options.listen,
      log,
      signal,
      ...(options.keys !== undefined && { keys: readKeys(options.keys) }),
      ...(options.bootstrap && { bootstrap: options.bootstrap }),
    })
    log.info(`Bootstrap node for ${committee.size} authorities, reached with:`)
    for (const address of node.addresses) log.info(`--bootstrap ${address}`)
    await node.stopped
  } catch (error) {
    const isInOrder = signal.aborted && error instanceof NarvalError && error.code === 'ERR_CLOSED'
    if (!isInOrder) throw error
  }
  log.info('Closed')
  return 0
}
