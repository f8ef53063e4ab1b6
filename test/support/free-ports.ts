/** Free ports for the running test file, out of a range that no file which runs beside it takes ports from. */
import * as ports from '../../src/main/local/ports.js'

/** As many ranges as files may run at once, and a few more. */
const RANGES = 4

/** The first of `count` ports in a row on which nobody listens. */
export function freePorts(count: number): Promise<number> {
  const pool = Number(process.env.VITEST_POOL_ID ?? 1)
  return ports.freePorts(count, ports.portRange((pool - 1) % RANGES, RANGES))
}
