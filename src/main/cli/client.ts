import type { TcpAddress } from '../../shared/config/address.js'
import { NarvalError } from '../../shared/errors.js'
import { createLogger } from '../lib/log.js'
import { watchParent } from '../lib/parent.js'
import { burstBytesMax } from '../local/load/burst.js'
import { CLIENT_BURST_BYTES_MAX } from '../local/load/limits.js'
import { runLoadClient } from '../local/load/load-client.js'

/** The flags of `client`. */
export interface ClientOptions {
  readonly target: TcpAddress
  readonly size: number
  readonly rate: number
  readonly nodes?: readonly TcpAddress[]
  readonly duration?: number
}

/** Sends until the duration is over, or SIGINT or SIGTERM; a second signal ends at once. */
export async function runClient(options: ClientOptions): Promise<number> {
  const { target, size, rate, nodes = [], duration } = options
  const bytes = burstBytesMax(rate, size)
  if (bytes > CLIENT_BURST_BYTES_MAX) {
    throw new NarvalError(
      'ERR_USAGE',
      `a burst of ${rate} tx/s of ${size} B is ${bytes} bytes, at most ${CLIENT_BURST_BYTES_MAX}: use several clients`,
    )
  }
  watchParent(() => process.exit(1))
  const log = createLogger('benchmark_client')
  const sent = await runLoadClient(
    { target, transactionBytes: size, rate, nodes, ...(duration === undefined ? {} : { durationS: duration }) },
    { log, stop: stopSignal() },
  )
  log.info(`Sent ${sent} transactions`)
  return 0
}

function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(1)
    controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}
