/**
 * V8's flags matter so much to a node that a process without them starts itself again with them, before it loads anything
 * else. Where Node can (22.15 and later), it replaces itself. Elsewhere it stays as a parent that passes on signals and the
 * exit code, and does nothing else.
 */
import { spawn } from 'node:child_process'
import { missingV8Flags } from '../../shared/runtime/v8-flags.js'
import { watchParent } from '../lib/parent.js'
import { EXIT_FAILURE } from './exit-codes.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Since Node 22.15; the types here are those of Node 20. */
type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never

/** The flags of V8 that this command line lacks; none unless it runs a node. */
export function flagsToAdd(args: readonly string[]): readonly string[] {
  const command = args.find((arg) => !arg.startsWith('-'))
  if (command !== 'run' || args.includes('--help') || args.includes('-h')) return []
  return missingV8Flags(process.versions.node, process.execArgv)
}

/** Runs the same command with these flags of V8. Does not return. */
export function relaunch(flags: readonly string[]): void {
  const args = [...process.execArgv, ...flags, ...process.argv.slice(1)]
  const { execve } = process as { execve?: Execve }
  // A child with a channel to its parent would lose it.
  if (execve !== undefined && !process.connected) execve(process.execPath, [process.execPath, ...args], process.env)
  const child = spawn(process.execPath, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NARVAL_CHILD: '1' },
  })
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal))
  watchParent(() => child.kill('SIGTERM'))
  child.once('error', (error) => {
    process.stderr.write(`narval: cannot start ${process.execPath}: ${error.message}\n`)
    process.exit(EXIT_FAILURE)
  })
  child.once('exit', (code, signal) => {
    if (signal !== null) {
      for (const name of SIGNALS) process.removeAllListeners(name)
      process.kill(process.pid, signal)
    } else process.exit(code ?? EXIT_FAILURE)
  })
}
