/**
 * Directories and processes that must not outlive the suite. They go when it ends, however that is short of kill -9:
 * everything here is synchronous, so that it can be done while the process exits.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export class Cleanup {
  private readonly parent: string
  private readonly directories = new Set<string>()
  private readonly processes = new Set<ChildProcess>()

  /** @param parent where directories are made; it is made with the first, and goes with the last if nothing else is in it */
  constructor(parent: string) {
    this.parent = parent
  }

  /** A new, empty directory. */
  directory(name: string): string {
    mkdirSync(this.parent, { recursive: true })
    const directory = mkdtempSync(join(this.parent, `${name}-`))
    this.directories.add(directory)
    return directory
  }

  remove(directory: string): void {
    rmSync(directory, { recursive: true, force: true })
    this.directories.delete(directory)
    if (this.directories.size > 0) return
    try {
      rmdirSync(this.parent)
    } catch {
      // Somebody else has something in it, or has removed it.
    }
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
