/**
 * The proof with real processes (test/support/proof/proof.ts): `npm run proof -- --rounds 50 [--seed 7] [--freeze 60]`. It
 * prints a line for each round, and what was not kept. The same seed does the same things at the same moments; what they
 * meet is the machine's.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { integer } from '../src/main/cli/values.js'
import { DISTURBANCES } from '../test/support/proof/plan.js'
import { Proof, type ProofSummary } from '../test/support/proof/proof.js'

const NODE_FILE = fileURLToPath(new URL('../../dist/node.js', import.meta.url))

const options = new Command('proof')
  .option('--rounds <count>', 'how many rounds', integer(1, 100_000), 10)
  .option('--seed <seed>', 'what is done follows from it', integer(0, 2 ** 32 - 1), Date.now() % 2 ** 32)
  .option('--freeze <seconds>', 'stop an authority for so long in some rounds; 0 for none', integer(0, 3_600), 0)
  .option('--per-tick <count>', 'transactions of each of four clients every 20 ms', integer(1, 1_000), 5)
  .parse()
  .opts<{ rounds: number; seed: number; freeze: number; perTick: number }>()

function report({ resumedMs, ...counts }: ProofSummary): void {
  const sorted = [...resumedMs].sort((a, b) => a - b)
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))]!
  console.log(
    Object.entries(counts)
      .map(([key, value]) => `${key} ${value}`)
      .join(', '),
  )
  console.log(`orders again after a start: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, at most ${at(1)} ms`)
}

const directory = mkdtempSync(join(tmpdir(), 'narval-proof-'))
console.log(`seed ${options.seed}, ${options.rounds} rounds, in ${directory}`)
const proof = new Proof({
  directory,
  nodeFile: NODE_FILE,
  seed: options.seed,
  rounds: options.rounds,
  kinds: DISTURBANCES.filter((kind) => kind !== 'freeze' || options.freeze > 0),
  freezeMs: options.freeze * 1_000,
  perTick: options.perTick,
  say: (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`),
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    proof.kill()
    console.log(`ended by ${signal}: stores and logs are in ${directory}`)
    process.exit(1)
  })
}
try {
  report(await proof.run())
  console.log('all was kept')
  rmSync(directory, { recursive: true })
} catch (error) {
  process.exitCode = 1
  console.log(error instanceof Error ? (error.stack ?? error.message) : error)
  console.log(`not kept: stores and logs are in ${directory}; --seed ${options.seed} does the same again`)
}
