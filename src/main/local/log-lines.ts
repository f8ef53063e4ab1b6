/**
 * Reads the log lines that a run is measured by: those of the reference (its benchmark/logs.py), and what our nodes say
 * beside them.
 */
import type { ReadCommit } from './agreement.js'

export type LogEvent =
  /** The batch with this digest (base64) holds so many bytes of transactions. */
  | { readonly type: 'batch-contains'; readonly digest: string; readonly bytes: number }
  /** It holds this sample of the client of this worker. */
  | { readonly type: 'batch-sample'; readonly worker: number; readonly digest: string; readonly sample: number }
  | {
      readonly type: 'batch-certified' | 'batch-created' | 'batch-committed'
      readonly digest: string
      readonly timeMs: number
    }
  | { readonly type: 'commit-read'; readonly commit: ReadCommit; readonly timeMs: number }
  | { readonly type: 'sample-read'; readonly worker: number; readonly sample: number; readonly timeMs: number }
  | { readonly type: 'sample-sent'; readonly sample: number; readonly timeMs: number }
  | { readonly type: 'worker-booted'; readonly worker: number }
  | { readonly type: 'client-started'; readonly timeMs: number }
  | { readonly type: 'client-sent'; readonly transactions: number }
  /** The log has lost lines: what is measured by it is not whole. */
  | { readonly type: 'lines-lost'; readonly lines: number }

/** What stands before the text of a line. */
interface Head {
  readonly timeMs: number
  /** Of the worker that an authority's line is about; 0 where a line names none. */
  readonly worker: number
}

type Reader = (head: Head, groups: RegExpExecArray) => LogEvent

/** `[time LEVEL module] `, and the part of an authority. */
const HEAD = /^\[([^ ]+Z) [^\]]*\] (?:(?:primary|worker (\d+)): )?/

/** The most frequent first. */
const FORMS: readonly (readonly [RegExp, Reader])[] = [
  [
    /^Committed B\d+\([^ ]+\) -> ([^ ]+)$/,
    ({ timeMs }, [, digest]) => ({ type: 'batch-committed', digest: digest!, timeMs }),
  ],
  [
    /^Batch ([^ ]+) contains (\d+) B$/,
    (_, [, digest, bytes]) => ({ type: 'batch-contains', digest: digest!, bytes: Number(bytes) }),
  ],
  [
    /^Batch ([^ ]+) contains sample tx (\d+)$/,
    ({ worker }, [, digest, sample]) => ({ type: 'batch-sample', worker, digest: digest!, sample: Number(sample) }),
  ],
  [/^Batch ([^ ]+) is certified$/, ({ timeMs }, [, digest]) => ({ type: 'batch-certified', digest: digest!, timeMs })],
  [
    /^Created B\d+\([^ ]+\) -> ([^ ]+)$/,
    ({ timeMs }, [, digest]) => ({ type: 'batch-created', digest: digest!, timeMs }),
  ],
  [
    /^Read commit (\d+) ([\da-f]{64}): (\d+) batches of (\d+) B, checksum ([\da-f]{8})$/,
    ({ timeMs }, [, index, digest, batches, bytes, checksum]) => ({
      type: 'commit-read',
      commit: {
        index: Number(index),
        digest: digest!,
        batches: Number(batches),
        bytes: Number(bytes),
        checksum: checksum!,
      },
      timeMs,
    }),
  ],
  [
    /^Read sample tx (\d+)$/,
    ({ timeMs, worker }, [, sample]) => ({ type: 'sample-read', worker, sample: Number(sample), timeMs }),
  ],
  [
    /^Sending sample transaction (\d+)$/,
    ({ timeMs }, [, sample]) => ({ type: 'sample-sent', sample: Number(sample), timeMs }),
  ],
  [/^Worker (\d+) successfully booted on /, (_, [, worker]) => ({ type: 'worker-booted', worker: Number(worker) })],
  [/^Start sending transactions$/, ({ timeMs }) => ({ type: 'client-started', timeMs })],
  [/^Sent (\d+) transactions$/, (_, [, transactions]) => ({ type: 'client-sent', transactions: Number(transactions) })],
]

/** Without a head: whoever writes the lines has lost some (log-destination.ts). */
const LINES_LOST = /^narval: (\d+) lines of the log are lost here/

/** What a log line says, or undefined where it says nothing that is measured. */
export function parseLogLine(line: string): LogEvent | undefined {
  const head = HEAD.exec(line)
  if (head === null) {
    const lost = LINES_LOST.exec(line)
    return lost === null ? undefined : { type: 'lines-lost', lines: Number(lost[1]) }
  }
  const [before, time, worker = '0'] = head
  const text = line.slice(before.length)
  for (const [form, read] of FORMS) {
    const groups = form.exec(text)
    if (groups !== null) return read({ timeMs: Date.parse(time!), worker: Number(worker) }, groups)
  }
  return undefined
}

const NOTABLE: ReadonlySet<LogEvent['type']> = new Set(['worker-booted', 'client-started', 'client-sent', 'lines-lost'])

/** Whether a line is one of the many that come with every batch or burst, and tell a reader nothing. */
export function isRoutine({ type }: LogEvent): boolean {
  return !NOTABLE.has(type)
}

/** Cuts what arrives in pieces into lines; what follows the last line feed waits for the next piece. */
export class LineSplitter {
  private rest = ''

  push(text: string): string[] {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop()!
    return lines
  }

  /** The last line, if it never got its line feed. */
  end(): string[] {
    const rest = this.rest
    this.rest = ''
    return rest === '' ? [] : [rest]
  }
}
