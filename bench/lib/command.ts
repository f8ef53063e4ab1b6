/** The frame of a benchmark's command line: exit code 2 for a bad flag, 1 and one line for a failure, 130 after Ctrl-C. */
import { Command, CommanderError } from 'commander'
import { EXIT_FAILURE, EXIT_USAGE } from '../../src/main/cli/exit-codes.js'
import { EXIT_INTERRUPTED, watchSignals } from '../../src/main/lib/signals.js'

/**
 * Runs a command and ends the process.
 *
 * @param define adds options and the action to the program; `stop` is aborted by the first Ctrl-C or SIGTERM, and the
 * action is expected to clear up and reject with the signal's reason. A second Ctrl-C ends the process at once
 */
export async function main(name: string, define: (program: Command, stop: AbortSignal) => void): Promise<void> {
  const { signal } = watchSignals(() => process.exit(EXIT_INTERRUPTED))
  const program = new Command(name).exitOverride().configureOutput({
    outputError: (text, write) => write(`${name}: ${oneLine(text.trim()).replace(/^error: /, '')} (see --help)\n`),
  })
  define(program, signal)
  const code = await execute(program, signal)
  // What was written has to be out first.
  process.stdout.write('', () => process.exit(code))
}

async function execute(program: Command, stop: AbortSignal): Promise<number> {
  try {
    await program.parseAsync()
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    if (stop.aborted) return EXIT_INTERRUPTED
    process.stderr.write(`${program.name()}: ${oneLine(error instanceof Error ? error.message : String(error))}\n`)
    return EXIT_FAILURE
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}
