/**
 * Reads the log lines that a run is measured by: those of the reference (its benchmark/logs.py), and nothing else.
 */
export type LogEvent =
  /** The batch with this digest (base64) holds so many bytes of transactions. */
  | { readonly type: 'batch-contains'; readonly digest: string; readonly bytes: number }
  | { readonly type: 'batch-sample'; readonly digest: string; readonly sample: number }
  | { readonly type: 'sample-sent'; readonly sample: number; readonly timeMs: number }
  | { readonly type: 'booted' }
  | { readonly type: 'client-started'; readonly timeMs: number }
  | { readonly type: 'client-sent'; readonly transactions: number }

const BATCH_CONTAINS = /\] Batch ([^ ]+) contains (\d+) B$/
const BATCH_SAMPLE = /\] Batch ([^ ]+) contains sample tx (\d+)$/
const SAMPLE_SENT = /^\[([^ ]+Z) .*\] Sending sample transaction (\d+)$/
const BOOTED = /\] Worker \d+ successfully booted on /
const CLIENT_STARTED = /^\[([^ ]+Z) .*\] Start sending transactions$/
const CLIENT_SENT = /\] Sent (\d+) transactions$/

/** What a log line says, or undefined where it says nothing that is measured. */
export function parseLogLine(line: string): LogEvent | undefined {
  let match = BATCH_CONTAINS.exec(line)
  if (match) return { type: 'batch-contains', digest: match[1]!, bytes: Number(match[2]) }
  match = BATCH_SAMPLE.exec(line)
  if (match) return { type: 'batch-sample', digest: match[1]!, sample: Number(match[2]) }
  match = SAMPLE_SENT.exec(line)
  if (match) return { type: 'sample-sent', sample: Number(match[2]), timeMs: Date.parse(match[1]!) }
  match = CLIENT_STARTED.exec(line)
  if (match) return { type: 'client-started', timeMs: Date.parse(match[1]!) }
  match = CLIENT_SENT.exec(line)
  if (match) return { type: 'client-sent', transactions: Number(match[1]) }
  if (BOOTED.test(line)) return { type: 'booted' }
  return undefined
}

/** Whether a line is one of the many that come with every batch or burst, and tell a reader nothing. */
export function isRoutine(event: LogEvent): boolean {
  return event.type === 'batch-contains' || event.type === 'batch-sample' || event.type === 'sample-sent'
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
