/**
 * The command line: commands, flags and exit codes. What a command does is in a file of its own, loaded when it is
 * called, so that `--help` is quick.
 *
 * Exit codes: 0, 1 after an error (one line on stderr), 2 after a usage error, 130 interrupted before there was a result.
 */
// libp2p calls Promise.withResolvers, which Node 20 lacks: before everything else.
import 'core-js/actual/promise/with-resolvers.js'
import { Command, CommanderError, Option } from 'commander'
import { WORKERS_PER_AUTHORITY_MAX } from '../../shared/config/limits.js'
import { BATCH_SIZE_MAX, COMMITTEE_SIZE_MAX, WORKER_ID_MAX } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import { platformProblem } from '../../shared/runtime/platform.js'
import { CLIENT_TRANSACTION_BYTES_MIN } from '../../shared/wire/client-transaction.js'
import { RULES } from '../authority/rules.js'
import { INIT_PORT_DEFAULT, INIT_PORT_MIN } from '../init/limits.js'
import { levelOfVerbosity } from '../lib/log.js'
import type { Interrupt } from '../lib/signals.js'
import { VERSION } from '../lib/version.js'
import { PRIMARY_KINDS, type PrimaryKind } from '../worker/primary-kinds.js'
import type { BootstrapCommandOptions } from './bootstrap.js'
import { EXIT_FAILURE, EXIT_USAGE } from './exit-codes.js'
import { leave } from './leave.js'
import type { AuthorityPart, PrimaryPart, RunOptions } from './run-options.js'
import {
  apiAddress,
  bootstraps,
  digest,
  host,
  increase,
  integer,
  metricsAddress,
  path,
  tcpAddress,
  tcpAddresses,
} from './values.js'

const RATE_MAX = 100_000_000
const DURATION_S_MAX = 7 * 24 * 3600
/** What the executable does when it is called without anything: `local`, until Ctrl-C. */
const DEFAULT_ARGUMENTS = ['local', '--duration', '0']

/**
 * Runs the command line and ends the process.
 *
 * @param early watches for signals since before this file was loaded, where `run` was called
 */
export async function main(args: readonly string[], early?: Interrupt): Promise<void> {
  // A reader that goes away (`| head`) is no reason to die with a stack trace.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  const code = await execute(args.length === 0 ? DEFAULT_ARGUMENTS : args, early)
  // A command is over when it says so; what was written has to be out first.
  process.stdout.write('', () => leave(code))
}

async function execute(args: readonly string[], early: Interrupt | undefined): Promise<number> {
  let code = 0
  try {
    const onDone = (result: number): void => {
      code = result
    }
    await createProgram(onDone, early).parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help that was asked for and the version are successes; commander has printed everything.
      return error.exitCode === 0 ? 0 : EXIT_USAGE
    }
    process.stderr.write(`narval: ${describe(error)}\n`)
    return error instanceof NarvalError && error.code === 'ERR_USAGE' ? EXIT_USAGE : EXIT_FAILURE
  }
}

/** One line for what comes from outside; a bug of ours shows where it is. */
function describe(thrown: unknown): string {
  const error = platformProblem(thrown) ?? thrown
  if (error instanceof NarvalError) return oneLine(error.toString())
  if (error instanceof Error && 'syscall' in error) return oneLine(error.message)
  return `internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}

/** What commander makes of the flags of `run`: a flag that was not given is missing. */
type RunFlags = Omit<RunOptions, 'logLevel' | 'benchmark' | 'mdns' | 'kad' | 'part'> & {
  verbose: number
  benchmark?: boolean
  mdns?: boolean
  kad?: boolean
}

/** @param onDone takes the exit code of the command that ran */
function createProgram(onDone: (code: number) => void, early: Interrupt | undefined): Command {
  const program = new Command('narval')
    .description(
      'A Narwhal node: batches of transactions, spread over libp2p, proven available by stake, stored, and put in one order.',
    )
    .version(`narval ${VERSION}`, '-V, --version')
    .option(
      '-v, --verbose',
      'level of the log of run: -v warn, -vv info, -vvv debug, -vvvv trace (without: info)',
      increase,
      0,
    )
    .addHelpText('after', '\nWithout a command: a committee of four on this machine, under load, until Ctrl-C.')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => {
        const problem = oneLine(text.trim()).replace(/^error: /, '')
        write(`narval: ERR_USAGE: ${problem} (see --help)\n`)
      },
    })
  addGenerateKeys(program)
  addFresh(program)
  addInit(program, onDone)
  addRun(program, onDone, early)
  addBootstrap(program, onDone)
  addClient(program, onDone)
  addLocal(program, onDone)
  addBatch(program)
  addCheck(program, onDone)
  addLog(program)
  addEvidence(program, onDone)
  addCheckpoint(program)
  addVerifyLog(program, onDone)
  addBackup(program, onDone)
  return program
}

function addGenerateKeys(program: Command): void {
  program
    .command('generate_keys')
    .description("make an authority's key pair in a new file")
    .requiredOption('--filename <file>', 'the file to write, which must not exist', path)
    .option(
      '--store <dir>',
      "the store of `run … authority` to be: is marked as that of a new authority's, as `fresh` does",
      path,
    )
    .action(async (options: { filename: string; store?: string }) => {
      const { generateKeyFile } = await import('./generate-keys.js')
      await generateKeyFile(options.filename, options.store)
    })
}

function addFresh(program: Command): void {
  program
    .command('fresh')
    .description('say that keys have never been used, so that an authority with a new store may sign at once')
    .requiredOption('--keys <file>', "the authority's key file", path)
    .requiredOption('--store <dir>', 'the store of `run … authority`, made if it is missing', path)
    .action(async (options: { keys: string; store: string }) => {
      const { markFreshAuthority } = await import('./fresh.js')
      markFreshAuthority(options.keys, options.store)
    })
}

function addInit(program: Command, onDone: (code: number) => void): void {
  program
    .command('init')
    .description('make the files of a new committee: a folder for each host, with keys, systemd unit and Dockerfile')
    .requiredOption(
      '--hosts <list>',
      'the hosts, divided by commas: names or addresses, each as HOST or HOST:FIRSTPORT ([…] around IPv6)',
    )
    .option('--out <dir>', 'the directory to make', path, 'narval-committee')
    .option('--workers <n>', 'workers of each authority', integer(1, WORKERS_PER_AUTHORITY_MAX), 1)
    .option('--stake <list>', 'the stakes of the hosts, divided by commas (default: one each)')
    .option(
      '--base-port <p>',
      'the first port of each host that is given without one',
      integer(INIT_PORT_MIN, 65_535),
      INIT_PORT_DEFAULT,
    )
    .allowExcessArguments(false)
    .action(async (options) => {
      const { init } = await import('./init.js')
      onDone(await init(options))
    })
}

function addRun(program: Command, onDone: (code: number) => void, early: Interrupt | undefined): void {
  const run = program
    .command('run')
    .description('run a node')
    .requiredOption('--keys <file>', "the authority's key file", path)
    .requiredOption('--committee <file>', 'the committee file', path)
    .requiredOption('--store <dir>', "the store's directory, made if it is missing", path)
    .option('--parameters <file>', 'the parameter file (default: the defaults of all parameters)', path)
    .addOption(ackLevelOption('what an ACK promises, before ack_level of the parameter file'))
    .option('--benchmark', 'log the lines that benchmark scripts read')
    .option('--metrics <addr>', 'serve /metrics and /health on this host:port', metricsAddress)
    .option(
      '--bind <host>',
      'the address that listeners bind (default: 0.0.0.0, or :: where the committee knows this worker by IPv6)',
      host,
    )
    .option('--mdns', 'look for the addresses of peers by mDNS too')
    .option('--kad', 'look for the addresses of peers in a Kademlia table too, and publish those of this node')
    .addOption(bootstrapOption())
    .helpCommand(false)
    // Only what is no command comes here.
    .allowUnknownOption()
    .allowExcessArguments()
    .action((_, { args: [first] }: Command) => {
      const problem =
        first === undefined
          ? 'what to run is missing'
          : `unknown ${first.startsWith('-') ? 'option' : 'command'} '${first}'`
      throw new NarvalError(
        'ERR_USAGE',
        `run: ${problem}: end the line with \`authority\`, \`primary\`, or \`worker --id N\` (see --help)`,
      )
    })
  const runPart = async (command: Command, part: RunOptions['part']): Promise<void> => {
    const { verbose, ...options } = command.optsWithGlobals<RunFlags>()
    demandBootstrap(options)
    const { run } = await import('./run.js')
    const flags = { benchmark: false, mdns: false, kad: false, ...options }
    onDone(await run({ ...flags, part, logLevel: levelOfVerbosity(verbose) }, early))
  }
  run
    .command('authority')
    .description('run an authority: its primary and all of its workers, in one process')
    .addOption(ruleOption())
    .option('--recovered', 'the store may be older than what the key has signed: ask the others before signing')
    .option('--consume', 'read every byte of every commit in this process, and log what was read: for benchmarks')
    .option('--api <addr>', 'answer applications over HTTP on this host:port: commits, a stream of events', apiAddress)
    .option('--api-token <file>', 'a file with the token of --api: other machines need one to reach it', path)
    .option('--api-origin <origin...>', 'origins of web pages that may call --api, or *')
    .allowExcessArguments(false)
    .action(({ consume = false, recovered = false, rule }: Partial<AuthorityPart>, command: Command) =>
      runPart(command, { kind: 'authority', rule: rule!, recovered, consume }),
    )
  run
    .command('worker')
    .description('run a single worker')
    .requiredOption('--id <n>', "the worker's id", integer(0, WORKER_ID_MAX))
    .addOption(
      new Option('--primary <kind>', 'what is at worker_to_primary: `run … primary`, or a primary of the reference')
        .choices(PRIMARY_KINDS)
        .default(PRIMARY_KINDS[0]),
    )
    .allowExcessArguments(false)
    .action(({ id, primary }: { id: number; primary: PrimaryKind }, command: Command) =>
      runPart(command, { kind: 'worker', id, primary }),
    )
  run
    .command('primary')
    .description('run a single primary: its workers are other processes, started with `worker --primary narval`')
    .addOption(ruleOption())
    .option('--recovered', 'the store may be older than what the key has signed: ask the others before signing')
    .option('--consume', 'read every byte of every commit in this process, and log what was read: for benchmarks')
    .allowExcessArguments(false)
    .action(({ consume = false, recovered = false, rule }: Partial<PrimaryPart>, command: Command) =>
      runPart(command, { kind: 'primary', rule: rule!, recovered, consume }),
    )
}

function addBootstrap(program: Command, onDone: (code: number) => void): void {
  program
    .command('bootstrap')
    .description('run a node of the Kademlia table in which a committee finds the addresses of its nodes')
    .requiredOption('--committee <file>', 'the committee file; keys, stakes and worker ids are enough', path)
    .requiredOption('--listen <addr>', 'listen on this host:port', tcpAddress)
    .option('--keys <file>', 'a key file of its own, for the same peer id at each start (default: new keys)', path)
    .addOption(bootstrapOption())
    .action(async (_, command: Command) => {
      const { verbose, ...options } = command.optsWithGlobals<{ verbose: number } & BootstrapCommandOptions>()
      const { bootstrap } = await import('./bootstrap.js')
      onDone(await bootstrap({ ...options, logLevel: levelOfVerbosity(verbose) }))
    })
}

function bootstrapOption(): Option {
  return new Option(
    '--bootstrap <multiaddr>',
    'a bootstrap node of the Kademlia table, as /ip4/10.0.0.9/tcp/4100; may be given several times',
  ).argParser(bootstraps)
}

function demandBootstrap({ bootstrap, kad }: Pick<RunFlags, 'bootstrap' | 'kad'>): void {
  if (kad && bootstrap === undefined)
    throw new NarvalError('ERR_USAGE', '--kad: name a node with --bootstrap (see --help)')
  if (!kad && bootstrap !== undefined) throw new NarvalError('ERR_USAGE', '--bootstrap: of no use without --kad')
}

function addClient(program: Command, onDone: (code: number) => void): void {
  program
    .command('client')
    .description("send transactions to a worker at a steady rate, as the reference's benchmark client does")
    .argument('<addr>', "the worker's transactions address, host:port", tcpAddress)
    .requiredOption('--size <n>', 'bytes of a transaction', integer(CLIENT_TRANSACTION_BYTES_MIN, BATCH_SIZE_MAX))
    .requiredOption('--rate <n>', 'transactions a second', integer(1, RATE_MAX))
    .option('--nodes <addr...>', 'wait until each of these accepts connections', tcpAddresses)
    .option('--duration <s>', 'seconds of load (default: until Ctrl-C)', integer(1, DURATION_S_MAX))
    .option('--unbuffered', "write each transaction by itself, as the reference's client does")
    .option(
      '--metrics <addr>',
      "the worker's metrics: say at the end how many transactions it certified (exit code 1 if fewer than were sent)",
      metricsAddress,
    )
    .action(async (target, options) => {
      const { runClient } = await import('./client.js')
      onDone(await runClient({ target, ...options }))
    })
}

function addLocal(program: Command, onDone: (code: number) => void): void {
  program
    .command('local')
    .description('run a committee of authorities on this machine, under load, and measure it')
    .option('--nodes <n>', 'authorities', integer(1, COMMITTEE_SIZE_MAX), 4)
    .option('--workers <n>', 'workers of each authority', integer(1, WORKERS_PER_AUTHORITY_MAX), 1)
    .option('--rate <n>', 'transactions a second, over all clients', integer(1, RATE_MAX), 20_000)
    .option('--size <n>', 'bytes of a transaction', integer(CLIENT_TRANSACTION_BYTES_MIN, BATCH_SIZE_MAX), 512)
    .option('--duration <s>', 'seconds of load that are measured, 0 until Ctrl-C', integer(0, DURATION_S_MAX), 20)
    .option('--warmup <s>', 'seconds of load before them', integer(0, DURATION_S_MAX), 0)
    .option('--faults <n>', 'authorities that are left out', integer(0, COMMITTEE_SIZE_MAX), 0)
    .option('--unbuffered', 'clients write each transaction by itself')
    .option('--split', 'each authority is a process for its primary and one for each worker (default: one for all)')
    .addOption(ackLevelOption('what an ACK promises').default('durable'))
    .addOption(ruleOption())
    .option(
      '--api <addr>',
      'the gateway of authority 0 here, and those of the others on the ports behind it',
      apiAddress,
    )
    .option('--json', 'end standard output with one line of JSON, and print the rest on standard error')
    .option(
      '--dir <dir>',
      'where files are made: new, empty, or of an earlier run (default: a fresh one in .narval)',
      path,
    )
    .option('--keep', 'leave keys, stores and logs where they are')
    .action(async (options) => {
      const { local } = await import('./local.js')
      onDone(await local({ json: false, keep: false, unbuffered: false, split: false, ...options }))
    })
}

function addBatch(program: Command): void {
  program
    .command('batch')
    .description('print a stored batch')
    .argument('<digest>', 'base64 as in the log, or hex', digest)
    .requiredOption('--store <dir>', "a worker's store, or an authority's, whether it runs or not", path)
    .option('--raw', "write the batch's bytes to standard output")
    .action(async (wanted: Uint8Array, options: { store: string; raw?: boolean }) => {
      const { printBatch } = await import('./batch.js')
      await printBatch(wanted, { raw: false, ...options })
    })
}

function addCheck(program: Command, onDone: (code: number) => void): void {
  program
    .command('check')
    .description('read a whole store, and name each part that is damaged (exit code 1 if there is one)')
    .requiredOption(
      '--store <dir>',
      "a store of a worker or a primary, or an authority's, whether it runs or not",
      path,
    )
    .action(async ({ store }: { store: string }) => {
      const { check } = await import('./check.js')
      onDone(check(store))
    })
}

function addLog(program: Command): void {
  program
    .command('log')
    .description('print the commits of an authority, in order')
    .requiredOption('--store <dir>', "an authority's store, or a primary's, whether it runs or not", path)
    .option('--after <n>', 'begin behind this commit', integer(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--limit <n>', 'commits to print, at most (default: all)', integer(1, Number.MAX_SAFE_INTEGER))
    .option('--follow', 'wait for more at the end of the log, until Ctrl-C')
    .option('--empty', 'print commits without batches as well, as the committee makes them at rest')
    .option('--json', 'a line of JSON for each commit')
    .action(async (options) => {
      const { printLog } = await import('./log.js')
      await printLog({ empty: false, follow: false, json: false, ...options })
    })
}

function addEvidence(program: Command, onDone: (code: number) => void): void {
  program
    .command('evidence')
    .description(
      'print what convicts an authority, and verify it with the committee file (exit code 1 if it is not valid)',
    )
    .option('--store <dir>', "an authority's store, or a primary's, whether it runs or not", path)
    .option('--file <file>', 'a file that --out has made, of whatever store', path)
    .option('--committee <file>', 'the committee file: each piece is verified', path)
    .option('--out <file>', 'a new file for all of it, which anybody can verify with --file and --committee', path)
    .option('--json', 'a line of JSON for each piece, as in the file of --out')
    .action(async (options) => {
      const { printEvidence } = await import('./evidence.js')
      onDone(printEvidence({ json: false, ...options }))
    })
}

function addCheckpoint(program: Command): void {
  program
    .command('checkpoint')
    .description('print the latest checkpoint that a quorum has signed: it proves the order up to its commit')
    .requiredOption('--store <dir>', "an authority's store, or a primary's, whether it runs or not", path)
    .option('--index <n>', 'that of this commit', integer(1, Number.MAX_SAFE_INTEGER))
    .option(
      '--prove <n>',
      'print the record of this commit, and the proof that it is under it',
      integer(1, Number.MAX_SAFE_INTEGER),
    )
    .option('--json', 'a line of JSON')
    .action(async (options) => {
      const { printCheckpoint } = await import('./checkpoint.js')
      printCheckpoint({ json: false, ...options })
    })
}

function addVerifyLog(program: Command, onDone: (code: number) => void): void {
  program
    .command('verify-log')
    .description(
      'verify all commits of an authority with the committee file alone (exit code 1 if that is not possible)',
    )
    .requiredOption('--committee <file>', 'the committee file; keys, stakes and worker ids are enough', path)
    .requiredOption('--store <dir>', "an authority's store, or a primary's, whether it runs or not", path)
    .action(async (options: { committee: string; store: string }) => {
      const { verifyLog } = await import('./verify-log.js')
      onDone(verifyLog(options))
    })
}

function addBackup(program: Command, onDone: (code: number) => void): void {
  program
    .command('backup')
    .description('copy a store while its node runs or not (exit code 1 if a batch is damaged, and so not in the copy)')
    .requiredOption('--store <dir>', "a store of a worker or a primary, or an authority's", path)
    .requiredOption('--to <dir>', 'the directory of the backup, which is made: a node can be started with it', path)
    .action(async ({ store, to }: { store: string; to: string }) => {
      const { backup } = await import('./backup.js')
      onDone(await backup(store, to))
    })
}

function ruleOption(): Option {
  return new Option('--rule <rule>', 'how certificates are put in order').choices(RULES).default(RULES[0])
}

function ackLevelOption(description: string): Option {
  return new Option('--ack-level <level>', description).choices(['stored', 'durable'])
}
