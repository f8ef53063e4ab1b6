/**
 * V8's flags matter so much to a node that a process without them starts itself again with them, before it loads anything
 * else. Where Node can (22.15 and later), it replaces itself. Elsewhere it stays as a parent that passes on signals and the
 * exit code, and does nothing else.
 *
 * The threads of libuv's pool are such a setting too: the process has enough for names that are not answered.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { missingV8Flags } from '../../shared/runtime/v8-flags.js'
import { watchParent } from '../lib/parent.js'
import { SIGNALS } from '../lib/signals.js'
import { POOL_THREADS } from '../names/limits.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { type Execve, isExitMessage } from './leave.js'

/** The flags of V8 that this command line lacks; none unless it runs a node. */
export function flagsToAdd(args: readonly string[]): readonly string[] {
  return runsNode(args) ? missingV8Flags(process.versions.node, process.execArgv) : []
}

/** Whether this command line runs a node. */
export function runsNode(args: readonly string[]): boolean {
  const command = args.find((arg) => !arg.startsWith('-'))
  return command === 'run' && !args.includes('--help') && !args.includes('-h')
}

/** What the process that runs the node finds in its environment. A setting that the user has made is the user's. */
export function nodeEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { UV_THREADPOOL_SIZE: String(POOL_THREADS), ...environment }
}

/** Runs the same command with these flags of V8. Does not return. */
export function relaunch(flags: readonly string[]): void {
  const args = [...process.execArgv, ...flags, ...process.argv.slice(1)]
  const env = nodeEnvironment(process.env)
  const { execve } = process as { execve?: Execve }
  // A child with a channel to its parent would lose it.
  if (execve !== undefined && !process.connected) execve(process.execPath, [process.execPath, ...args], env)
  const child = spawn(process.execPath, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...env, NARVAL_CHILD: '1' },
  })
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal))
  watchParent(() => child.kill('SIGTERM'))
  child.once('error', (error) => {
    process.stderr.write(`narval: cannot start ${process.execPath}: ${error.message}\n`)
    process.exit(EXIT_FAILURE)
  })
  let told: number | undefined
  child.on('message', (message) => {
    if (isExitMessage(message)) told = message.exitCode
  })
  child.once('exit', (code, signal) => {
    if (told !== undefined) process.exit(told)
    if (signal !== null) {
      for (const name of SIGNALS) process.removeAllListeners(name)
      process.kill(process.pid, signal)
      // The first process of a container takes no signal from itself.
      process.exit(128 + constants.signals[signal])
    }
    process.exit(code ?? EXIT_FAILURE)
  })
}
