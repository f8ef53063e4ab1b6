/** A run's results as a file of JSON, and back. */
import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import type { Environment } from './environment.js'
import type { Row } from './row.js'

export interface Report<S> {
  readonly environment: Environment
  /** What the run was asked to do. */
  readonly settings: S
  readonly rows: readonly Row[]
}

const figure = z.number().nullable()
const schema = z.object({
  environment: z.object({
    cpu: z.string(),
    cores: z.number(),
    memory_bytes: z.number(),
    kernel: z.string(),
    node: z.string(),
    commit: z.string(),
    date: z.string(),
  }),
  settings: z.record(z.string(), z.unknown()),
  rows: z.array(
    z.object({
      stage: z.string(),
      case: z.string(),
      op: z.string(),
      ops_per_s: figure,
      ns_per_op: figure,
      rme_percent: figure,
      p50_ns: figure,
      p99_ns: figure,
      bytes_per_s: figure,
      ns_per_byte: figure,
    }),
  ),
})

/** A file of the user's is not as it should be; one line says how. */
export class ReportError extends Error {}

/** @throws ReportError if the file cannot be written */
export function writeReport(file: string, report: Report<object>): void {
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  } catch (error) {
    throw new ReportError(`cannot write ${file}: ${(error as Error).message}`)
  }
}

/** @throws ReportError if there is no such file, or it is no report */
export function readReport(file: string): Report<Record<string, unknown>> {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message
    throw new ReportError(`cannot read the results in ${file}: ${why}`)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue!.path.length === 0 ? 'the whole' : issue!.path.join('.')
  throw new ReportError(`cannot read the results in ${file}: not made by --json: ${where}: ${issue!.message}`)
}
