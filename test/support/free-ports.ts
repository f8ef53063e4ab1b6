/**
 * Free ports for the running test file, out of a range that no file which runs beside it takes ports from, and each port
 * once: one that was found free is nobody's until something listens on it, which may be much later.
 */
import * as ports from '../../src/main/local/ports.js'

/** As many ranges as files may run at once, and a few more. */
const RANGES = 6

const given = new Set<number>()

/** The first of `count` ports in a row on which nobody listens. */
export async function freePorts(count: number): Promise<number> {
  const pool = Number(process.env.VITEST_POOL_ID ?? 1)
  const range = ports.portRange((pool - 1) % RANGES, RANGES)
  for (;;) {
    const first = await ports.freePorts(count, range)
    const row = Array.from({ length: count }, (_, n) => first + n)
    if (row.some((port) => given.has(port))) continue
    for (const port of row) given.add(port)
    return first
  }
}
