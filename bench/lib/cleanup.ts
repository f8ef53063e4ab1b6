/**
 * Directories and processes that must not outlive the suite. They go when it ends, however that is short of kill -9:
 * everything here is synchronous, so that it can be done while the process exits.
 */
import type { ChildProcess } from 'node:child_process'
import { makeWorkdir, removeWorkdir } from './workdir.js'

export class Cleanup {
  private readonly parent: string | undefined
  private readonly directories = new Set<string>()
  private readonly processes = new Set<ChildProcess>()

  /** @param parent where directories are made; `.bench` unless given */
  constructor(parent?: string) {
    this.parent = parent
  }

  /** A new, empty directory. */
  directory(name: string): string {
    const directory = makeWorkdir(name, this.parent)
    this.directories.add(directory)
    return directory
  }

  remove(directory: string): void {
    removeWorkdir(directory)
    this.directories.delete(directory)
  }

  /** Kills the process at the end, if it still runs. */
  track<P extends ChildProcess>(child: P): P {
    this.processes.add(child)
    child.once('exit', () => this.processes.delete(child))
    return child
  }

  all(): void {
    for (const child of this.processes) child.kill('SIGKILL')
    this.processes.clear()
    for (const directory of [...this.directories]) this.remove(directory)
  }
}
