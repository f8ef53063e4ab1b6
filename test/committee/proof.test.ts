/** A short proof with processes (support/proof/proof.ts): `npm run proof` runs as many rounds of it as one likes. */
import { expect, test } from 'vitest'
import { Proof } from '../support/proof/proof.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const NODE_FILE = new URL('../../dist/node.js', import.meta.url).pathname

test('four authorities that are killed, one, a quorum and all of them, and stopped for a while, keep all that was promised', async () => {
  const lines: string[] = []
  const proof = new Proof({
    directory: temporaryDirectory(),
    nodeFile: NODE_FILE,
    seed: Number(process.env.NARVAL_PROOF_SEED ?? 1),
    rounds: 4,
    kinds: ['kill-one', 'kill-quorum', 'kill-all', 'freeze'],
    freezeMs: 3_000,
    perTick: 5,
    say: (line) => void lines.push(line),
  })
  const { kills, promised, transactions } = await proof.run().catch((error: Error) => {
    error.message = `${lines.join('\n')}\n${error.message}`
    throw error
  })
  expect(kills).toBeGreaterThanOrEqual(8)
  expect(promised).toBeGreaterThan(50)
  expect(transactions).toBeGreaterThan(500)
}, 600_000)
