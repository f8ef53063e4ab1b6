/**
 * Where log lines go: stderr, at once and in order, and never waited for. A reader that has stopped reading costs lines,
 * which are counted, and not the node: a write that the system does not take now waits in a bounded backlog.
 *
 * A pipe or a terminal is opened anew without blocking, so that whoever shares it with us keeps it as it is. A file is
 * written as it is. What cannot be opened anew (a socket, as systemd's journal gives) is written through Node's own stream,
 * which queues by itself.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/** Bytes of lines that wait for a reader: ten thousand lines. Later lines are dropped. */
export const LOG_BACKLOG_BYTES_MAX = 1024 * 1024
const STDERR = 2
/** How often a backlog is tried again, ms. */
const RETRY_MS = 100

export interface LogDestination {
  /** Takes a whole line, its line feed included. */
  write(line: string): void
  /** Lines that were dropped since the start. */
  readonly dropped: number
}

/** Writes bytes to where the lines go. Says how many it took, fewer if there is no room now. */
export type WriteNow = (bytes: Uint8Array) => number

export class Backlog implements LogDestination {
  private readonly writeNow: WriteNow
  private readonly waiting: Buffer[] = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private droppedLines = 0
  private reported = 0

  constructor(writeNow: WriteNow) {
    this.writeNow = writeNow
  }

  get dropped(): number {
    return this.droppedLines
  }

  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.waiting.length === 0) {
      const taken = this.writeNow(bytes)
      if (taken < bytes.length) this.keep(bytes.subarray(taken))
    } else if (this.waitingBytes + bytes.length <= LOG_BACKLOG_BYTES_MAX) this.keep(bytes)
    else this.droppedLines += 1
  }

  private keep(bytes: Buffer): void {
    this.waiting.push(bytes)
    this.waitingBytes += bytes.length
    this.retryLater()
  }

  private retryLater(): void {
    if (this.timer !== undefined) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      this.retry()
    }, RETRY_MS)
    // Lines that nobody reads are no reason to stay.
    this.timer.unref()
  }

  private retry(): void {
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      const taken = this.writeNow(first)
      this.waitingBytes -= taken
      if (taken < first.length) {
        this.waiting[0] = first.subarray(taken)
        this.retryLater()
        return
      }
      this.waiting.shift()
    }
    if (this.droppedLines === this.reported) return
    const lost = this.droppedLines - this.reported
    this.reported = this.droppedLines
    this.write(`narval: ${lost} lines of the log are lost here: their reader did not keep up\n`)
  }
}

/** stderr of this process. */
export function stderrDestination(): LogDestination {
  let fd: number
  try {
    fd = openStderr()
  } catch {
    return new StreamDestination(process.stderr)
  }
  return new Backlog((bytes) => {
    try {
      return writeSync(fd, bytes)
    } catch (error) {
      // A reader that is gone, or a full disk, is no reason to die: the line is lost.
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : bytes.length
    }
  })
}

/**
 * A descriptor of stderr that does not block. A file never blocks for a reader, so it is taken as it is: a second descriptor
 * would have a place of its own in it, and what Node or a child process wrote to the first would fall on the first lines.
 */
function openStderr(): number {
  if (fstatSync(STDERR).isFile()) return STDERR
  return openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK)
}

class StreamDestination implements LogDestination {
  private readonly stream: NodeJS.WriteStream
  private droppedLines = 0

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream
    stream.on('error', () => {})
  }

  get dropped(): number {
    return this.droppedLines
  }

  write(line: string): void {
    if (this.stream.writableLength + line.length > LOG_BACKLOG_BYTES_MAX) this.droppedLines += 1
    else this.stream.write(line)
  }
}
