/** The flags of `npm run flame`. */
import { Command, Option } from 'commander'
import { integer } from '../../src/main/cli/values.js'
import { BATCH_SIZE_MAX, COMMITTEE_SIZE_MAX } from '../../src/shared/constants.js'
import { CLIENT_TRANSACTION_BYTES_MIN } from '../../src/shared/wire/client-transaction.js'

export interface FlameOptions {
  /** Authorities of the committee, with one worker each. */
  readonly nodes: number
  /** Transactions a second, over the whole committee, and the bytes of each. */
  readonly rate: number
  readonly size: number
  readonly ackLevel: 'stored' | 'durable'
  /** The node that is profiled, counted from 0. */
  readonly node: number
  /** Seconds under load before anything is measured: V8 compiles in them. */
  readonly warmup: number
  /** Seconds of each of the two windows: one measured and not profiled, one profiled. */
  readonly seconds: number
  readonly out: string
}

const RATE_MAX = 100_000_000
const SECONDS_MAX = 600

/** @throws CommanderError when a flag is wrong, or after the help; it has been printed then */
export function parseOptions(args: readonly string[]): FlameOptions {
  const command = new Command('npm run flame --')
    .description('Profiles one node of a committee under load, every thread of it, and writes a page of flamegraphs.')
    .option('--nodes <n>', 'authorities', integer(1, COMMITTEE_SIZE_MAX), 4)
    .option('--rate <n>', 'transactions a second, over all clients', integer(1, RATE_MAX), 60_000)
    .option('--size <n>', 'bytes of a transaction', integer(CLIENT_TRANSACTION_BYTES_MIN, BATCH_SIZE_MAX), 512)
    .addOption(
      new Option('--ack-level <level>', 'what an ACK promises').choices(['stored', 'durable']).default('durable'),
    )
    .option('--node <i>', 'the node to profile, counted from 0', integer(0, COMMITTEE_SIZE_MAX - 1), 0)
    .option('--warmup <s>', 'seconds under load before measuring', integer(0, SECONDS_MAX), 10)
    .option('--seconds <s>', 'seconds to measure, and again to profile', integer(1, SECONDS_MAX), 10)
    .option('--out <file>', 'the page to write', 'flame.html')
    .option('--smoke', 'only show that it works: no warm-up, one second to measure and one to profile')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(
          `flame: ${text
            .trim()
            .replace(/^error: /, '')
            .replaceAll(/\s*\n\s*/g, ' ')} (see --help)\n`,
        ),
    })
  const { smoke, ...flags } = command.parse(args, { from: 'user' }).opts<FlameOptions & { smoke?: boolean }>()
  if (flags.node >= flags.nodes)
    command.error(`error: --node ${flags.node}: the last of ${flags.nodes} is ${flags.nodes - 1}`)
  return smoke ? { ...flags, warmup: 0, seconds: 1 } : flags
}
