import type { TcpAddress } from '../../shared/config/address.js'
import { NarvalError } from '../../shared/errors.js'
import { createLogger } from '../lib/log.js'
import { watchParent } from '../lib/parent.js'
import { burstBytesMax } from '../local/load/burst.js'
import { CLIENT_BURST_BYTES_MAX } from '../local/load/limits.js'
import { type LoadClientOptions, type LoadResult, runLoadClient } from '../local/load/load-client.js'
import { WorkerTally } from '../local/load/worker-tally.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { leave } from './leave.js'

/** The flags of `client`. */
export interface ClientOptions {
  readonly target: TcpAddress
  readonly size: number
  readonly rate: number
  readonly nodes?: readonly TcpAddress[]
  readonly duration?: number
  readonly unbuffered?: boolean
  /** Where the worker serves its metrics. */
  readonly metrics?: TcpAddress
}

/** Sends until the duration is over, or SIGINT or SIGTERM; a second signal ends at once. */
export async function runClient(options: ClientOptions): Promise<number> {
  const { size, rate } = options
  const bytes = burstBytesMax(rate, size)
  if (bytes > CLIENT_BURST_BYTES_MAX) {
    throw new NarvalError(
      'ERR_USAGE',
      `a burst of ${rate} tx/s of ${size} B is ${bytes} bytes, at most ${CLIENT_BURST_BYTES_MAX}: use several clients`,
    )
  }
  watchParent(() => leave(EXIT_FAILURE))
  const log = createLogger('benchmark_client')
  const stop = stopSignal()
  const tally = options.metrics && (await WorkerTally.begin(options.metrics))
  let result: LoadResult
  try {
    result = await runLoadClient(loadOf(options), { log, stop })
  } catch (error) {
    if (tally !== undefined) log.info(await tally.now())
    throw error
  }
  const { isRead, sent } = result
  if (sent > 0 && isRead) log.info('The worker has read all of them')
  else if (sent > 0)
    log.warn('The worker has not read all of them: it takes no more now; its log and its health say why')
  if (tally === undefined) return 0
  const isCertified = sent === 0 || (isRead && (await tally.reaches(sent)))
  log[isCertified ? 'info' : 'warn'](await tally.now())
  return isCertified ? 0 : EXIT_FAILURE
}

/** What the flags ask of the load client. */
export function loadOf({
  target,
  size,
  rate,
  nodes = [],
  duration,
  unbuffered = false,
}: ClientOptions): LoadClientOptions {
  const load = { target, transactionBytes: size, rate, nodes, unbuffered }
  return duration === undefined ? load : { ...load, durationS: duration }
}

function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (): void => {
    if (controller.signal.aborted) leave(EXIT_FAILURE)
    else controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}
