/** Cases that are one function, called over and over: measured by tinybench. */
import { Bench } from 'tinybench'
import { type Row, rateRow } from './row.js'

export interface Case {
  readonly name: string
  /** What one op is. */
  readonly op: string
  /** Ops that one call of `run` does; 1 unless given. */
  readonly ops?: number
  /** Bytes of one op, where that means something. */
  readonly bytes?: number
  /** A promise is waited for, and its case has to say `isAsync`. */
  readonly run: () => unknown
  readonly isAsync?: true
}

/** A sample of less would measure the clock. */
const SAMPLE_NS_MIN = 20_000
/** Share of a case's time that is spent before it, so that V8 has compiled what is measured. */
export const WARM_UP_SHARE = 0.25

/** Where results go, so that V8 cannot find out that nobody needs them. */
export const sink: { value: unknown } = { value: undefined }

/** @param timeMs how long each case is measured, after its warm-up */
export async function measure(stage: string, cases: readonly Case[], timeMs: number): Promise<Row[]> {
  const rows: Row[] = []
  for (const each of cases) rows.push(await measureOne(stage, each, timeMs))
  return rows
}

async function measureOne(stage: string, measured: Case, timeMs: number): Promise<Row> {
  const { bytes, isAsync, name, op, ops = 1, run } = measured
  const calls = isAsync ? 1 : callsPerSample(run, timeMs * WARM_UP_SHARE)
  const bench = new Bench({
    time: timeMs,
    iterations: 4,
    warmupTime: timeMs * WARM_UP_SHARE,
    warmupIterations: 1,
    throws: true,
  })
  const repeated = (): void => {
    for (let call = 0; call < calls; call += 1) sink.value = run()
  }
  bench.add(name, isAsync ? run : repeated, { async: isAsync ?? false })
  await bench.run()
  const result = bench.tasks[0]!.result
  if (result.state !== 'completed') throw new Error(`${stage}: ${name}: ${result.state}`)
  const { mean, rme } = result.latency
  return rateRow({ stage, case: name, op }, (mean * 1e6) / (calls * ops), bytes, { rme_percent: rme })
}

/** How often to call within one sample, by what a call took after some time of calling. */
function callsPerSample(run: () => unknown, timeMs: number): number {
  let calls = 0
  let nsPerCall = Number.POSITIVE_INFINITY
  const endMs = performance.now() + timeMs
  do {
    const start = process.hrtime.bigint()
    calls = Math.max(1, calls * 2)
    for (let call = 0; call < calls; call += 1) sink.value = run()
    nsPerCall = Number(process.hrtime.bigint() - start) / calls
  } while (performance.now() < endMs && calls * nsPerCall < SAMPLE_NS_MIN * 16)
  return Math.max(1, Math.ceil(SAMPLE_NS_MIN / nsPerCall))
}
