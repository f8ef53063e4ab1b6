/**
 * Bytes that processes caused to be written to the disk, as Linux counts them in /proc/PID/io (`write_bytes`): when a page
 * of the page cache becomes dirty, and not again while it waits. What another process writes is not in it, as it would be
 * in /proc/diskstats; what is deleted before it was written is.
 */
import { readFileSync } from 'node:fs'

export class DiskWrites {
  private readonly first = new Map<number, number>()
  private readonly last = new Map<number, number>()

  /** Reads the counters of these processes; one that has ended keeps its last reading. */
  sample(pids: readonly number[]): void {
    for (const pid of pids) {
      const bytes = writeBytesOf(pid)
      if (bytes === undefined) continue
      if (!this.first.has(pid)) this.first.set(pid, bytes)
      this.last.set(pid, bytes)
    }
  }

  /** Bytes between the first and the last sample of each process; null where nothing could be read. */
  get bytes(): number | null {
    if (this.last.size === 0) return null
    let sum = 0
    for (const [pid, bytes] of this.last) sum += bytes - this.first.get(pid)!
    return sum
  }
}

function writeBytesOf(pid: number): number | undefined {
  try {
    const match = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))
    return match === null ? undefined : Number(match[1])
  } catch {
    // It has ended, or this is not Linux.
    return undefined
  }
}
