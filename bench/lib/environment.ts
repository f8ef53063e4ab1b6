/** What figures were made with: the machine, Node, and the commit. Everything that a reader needs to compare two of them. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

/** The names of the keys are those of the JSON files. */
export interface Environment {
  /** The model of the first core. */
  readonly cpu: string
  /** Cores that this process may use. */
  readonly cores: number
  readonly memory_bytes: number
  /** Name and release: `Linux 6.8.0`. */
  readonly kernel: string
  /** `v20.20.2`. */
  readonly node: string
  /** `git describe --always --dirty`, or `unknown` outside of git. */
  readonly commit: string
  /** When it was asked for, ISO 8601 in UTC. */
  readonly date: string
}

export function environment(): Environment {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_bytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.version,
    commit: commit(),
    date: new Date().toISOString(),
  }
}

/** The lines of a header, without line feeds. */
export function environmentLines(of: Environment): string[] {
  const memoryGb = (of.memory_bytes / 1e9).toFixed(1)
  return [
    `machine  ${of.cpu}, ${of.cores} cores, ${memoryGb} GB of memory, ${of.kernel}`,
    `node     ${of.node}`,
    `commit   ${of.commit}`,
    `date     ${of.date}`,
  ]
}

function commit(): string {
  try {
    // The repository that this file lies in, wherever it is called from.
    const described = execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return described.trim() || 'unknown'
  } catch {
    return 'unknown'
  }
}
