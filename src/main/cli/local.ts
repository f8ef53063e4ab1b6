import type { TcpAddress } from '../../shared/config/address.js'
import { defaultParameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { transactionBytesMax } from '../../shared/wire/batch.js'
import { isLoopback } from '../../shared/wire/source-address.js'
import type { Rule } from '../authority/rules.js'
import { LOCAL_WORKERS_MAX } from '../local/limits.js'
import { burstBytesMax } from '../local/load/burst.js'
import { CLIENT_BURST_BYTES_MAX } from '../local/load/limits.js'
import { runLocal } from '../local/local.js'
import { clientRate, type LocalOptions } from '../local/options.js'

/** The flags of `local`. */
export interface LocalFlags {
  readonly nodes: number
  readonly workers: number
  readonly rate: number
  readonly size: number
  readonly warmup: number
  readonly duration: number
  readonly faults: number
  readonly unbuffered: boolean
  readonly split: boolean
  readonly ackLevel: 'stored' | 'durable'
  readonly rule: Rule
  readonly json: boolean
  readonly api?: TcpAddress
  readonly dir?: string
  readonly keep: boolean
}

export function local(flags: LocalFlags): Promise<number> {
  return runLocal(checkFlags(flags))
}

/** What only several flags together can get wrong. @throws NarvalError ERR_USAGE */
export function checkFlags(flags: LocalFlags): LocalOptions {
  const { nodes, workers, rate, size, faults } = flags
  if (faults >= nodes) {
    throw new NarvalError('ERR_USAGE', `--faults ${faults} leaves nobody of ${nodes}: at most ${nodes - 1}`)
  }
  if (nodes * workers > LOCAL_WORKERS_MAX) {
    throw new NarvalError('ERR_USAGE', `${nodes * workers} workers, at most ${LOCAL_WORKERS_MAX} on one machine`)
  }
  if (flags.api !== undefined) checkApi(flags.api, flags)
  const sizeMax = transactionBytesMax(defaultParameters().batchBytesMax)
  if (size > sizeMax) {
    throw new NarvalError('ERR_USAGE', `--size ${size} does not fit a batch: at most ${sizeMax} bytes`)
  }
  const burstBytes = burstBytesMax(clientRate({ nodes, workers, rate }), size)
  if (burstBytes > CLIENT_BURST_BYTES_MAX) {
    throw new NarvalError(
      'ERR_USAGE',
      `--rate ${rate} of ${size} B is ${burstBytes} bytes in each client's burst, at most ${CLIENT_BURST_BYTES_MAX}`,
    )
  }
  return {
    nodes,
    workers,
    rate,
    transactionBytes: size,
    warmupS: flags.warmup,
    durationS: flags.duration,
    faults,
    unbuffered: flags.unbuffered,
    split: flags.split,
    ackLevel: flags.ackLevel,
    rule: flags.rule,
    json: flags.json,
    api: flags.api,
    directory: flags.dir,
    keep: flags.keep,
  }
}

function checkApi({ host, port }: TcpAddress, { nodes, split }: LocalFlags): void {
  if (split)
    throw new NarvalError(
      'ERR_USAGE',
      '--api: a gateway reads the stores of an authority in one process: not with --split',
    )
  if (!isLoopback(host)) throw new NarvalError('ERR_USAGE', `--api ${host}: on this machine only, as 127.0.0.1`)
  if (port + nodes - 1 > 65_535)
    throw new NarvalError('ERR_USAGE', `--api: ${nodes} ports from ${port} on go beyond 65535`)
}
