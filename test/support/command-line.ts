/** The command line as a user runs it: a process that is waited for. */
import { spawnSync } from 'node:child_process'

export const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `narval` in a directory. One that does not end in time fails its test. */
export function runNarval(directory: string, args: readonly string[], timeoutMs = 60_000): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NODE_FILE, ...args], {
    encoding: 'utf8',
    cwd: directory,
    timeout: timeoutMs,
    // One that does not end takes no other signal.
    killSignal: 'SIGKILL',
  })
  return { status, stdout, stderr }
}
