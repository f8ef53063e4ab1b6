/** One run of the product as a user runs it: `node dist/node.js local … --json`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Result } from '../../src/main/local/result.js'
import { DiskWrites } from '../lib/disk-writes.js'
import { makeWorkdir, removeWorkdir } from '../lib/workdir.js'
import { type Configuration, nameOf } from './configuration.js'

/** In the repository's root, beside the directory that this file is compiled into. */
const NODE_FILE = fileURLToPath(new URL('../../../dist/node.js', import.meta.url))
/** `local` was told to stop: it drains, and ends its processes. */
const STOP_DEADLINE_MS = 20_000

export interface ProductRun {
  readonly result: Result
  /** Bytes that reached the disk from its start to its end, everybody's; null where the system does not say. */
  readonly disk_write_bytes: number | null
  /** From its start to its end, boot and clearing up included. */
  readonly elapsed_s: number
}

/**
 * @param rate transactions a second
 * @param stop ends the run; then, as after a failure, no process and no store is left
 * @throws Error with one line when `local` fails or leaves something behind; the signal's reason after `stop`
 */
export async function runProduct(
  configuration: Configuration,
  rate: number,
  durationS: number,
  stop: AbortSignal,
): Promise<ProductRun> {
  stop.throwIfAborted()
  const workdir = makeWorkdir('cluster')
  const directory = join(workdir, 'local')
  const startedMs = performance.now()
  const writes = new DiskWrites(workdir)
  const child = start(configuration, rate, durationS, directory)
  const clear = (): void => {
    // Nodes and clients end by themselves when it is gone.
    child.kill('SIGKILL')
    removeWorkdir(workdir)
  }
  process.on('exit', clear)
  try {
    const line = await lastLineOf(child, stop)
    if (existsSync(directory)) throw new Error(`local left files in ${directory}`)
    return {
      result: JSON.parse(line) as Result,
      disk_write_bytes: writes.bytes,
      elapsed_s: Number(((performance.now() - startedMs) / 1000).toFixed(1)),
    }
  } catch (error) {
    if (stop.aborted) throw stop.reason
    throw new Error(`${nameOf(configuration)} at ${rate} tx/s: ${(error as Error).message}`)
  } finally {
    clear()
    process.off('exit', clear)
  }
}

function start(configuration: Configuration, rate: number, durationS: number, directory: string): ChildProcess {
  const flags = {
    '--nodes': configuration.nodes,
    '--size': configuration.transactionBytes,
    '--ack-level': configuration.ackLevel,
    '--rate': rate,
    '--duration': durationS,
    '--dir': directory,
  }
  const args = Object.entries(flags).flatMap(([flag, value]) => [flag, String(value)])
  return spawn(process.execPath, [NODE_FILE, 'local', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C goes to a whole process group; when and how often it is told is ours.
    detached: true,
  })
}

/** Waits for its end; resolves to the last line of its standard output. */
async function lastLineOf(child: ChildProcess, stop: AbortSignal): Promise<string> {
  const output = collect(child.stdout!)
  const problems = collect(child.stderr!)
  let killer: NodeJS.Timeout | undefined
  const end = (): void => {
    child.kill('SIGTERM')
    killer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
  }
  stop.addEventListener('abort', end)
  try {
    const how = await new Promise<string | number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(code ?? signal))
    })
    stop.throwIfAborted()
    if (how !== 0) throw new Error(`local ended with ${how}: ${lastLine(problems.join(''))}`)
    return lastLine(output.join(''))
  } finally {
    stop.removeEventListener('abort', end)
    clearTimeout(killer)
  }
}

function collect(stream: NodeJS.ReadableStream): string[] {
  const pieces: string[] = []
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => pieces.push(text))
  return pieces
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)!
}
