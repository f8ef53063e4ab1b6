/**
 * The end of this process. `process.exit` waits for the threads of libuv's pool. One of them may be in the C library, which
 * asks a name server that does not answer: that takes half a minute or more, and nothing interrupts it. All that matters
 * is closed by then, so such a process ends without its threads. Node has no call for that, and each of these does it:
 *
 * | where                                        | how it ends                                                         |
 * |----------------------------------------------|---------------------------------------------------------------------|
 * | Node can replace its process (22.15 and on)  | it becomes one that only exits, with the code                       |
 * | a child of `relaunch`                        | it tells its parent the code, which exits with it, and kills itself |
 * | elsewhere                                    | by SIGTERM if the code is 0, as if it had never asked for the signal; or else by SIGKILL |
 */

/** Since Node 22.15; the types here are those of Node 20. */
export type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never

/** What a child tells its parent when it cannot exit with its code. */
export interface ExitMessage {
  readonly exitCode: number
}

export function isExitMessage(message: unknown): message is ExitMessage {
  return typeof (message as ExitMessage | null)?.exitCode === 'number'
}

/** Ends this process. What is to be written or closed has been. */
export function leave(code: number): void {
  if (!isResolving()) process.exit(code)
  process.emit('exit', code)
  const { execve } = process as { execve?: Execve }
  if (execve !== undefined) execve(process.execPath, [process.execPath, '-e', `process.exit(${code})`], {})
  const die = (signal: NodeJS.Signals): void => {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    // The first process of a container takes no signal from itself: it waits for its threads.
    process.exit(code)
  }
  if (process.env.NARVAL_CHILD === '1' && process.connected) {
    process.send?.({ exitCode: code } satisfies ExitMessage, () => die('SIGKILL'))
  } else die(code === 0 ? 'SIGTERM' : 'SIGKILL')
}

/** Whether the system's resolver has a question of ours. */
function isResolving(): boolean {
  return process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')
}
