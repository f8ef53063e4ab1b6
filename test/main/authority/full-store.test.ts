/** A worker's store that is full stops the order, says so, and the order goes on when there is room. */
import { expect, test } from 'vitest'
import type { Authority } from '../../../src/index.js'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import { newMembers, start } from '../../support/authority-under-test.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until, within } from '../../support/until.js'

const MIB = 1024 * 1024
const TRANSACTION_BYTES = 100_000

test('an authority whose store is full takes no more, says why, and goes on with a larger one: nothing is lost', async () => {
  const [member] = await newMembers(1)
  const parameters = (storeBytesMax: number) => ({
    ...defaultParameters(),
    ...{ maxBatchDelayMs: 5, ownSlots: 4, storeBytesMax },
  })
  const full = await start(member!, { parameters: parameters(64 * MIB) })
  let submitted = 0
  const submit = async (authority: Authority): Promise<void> => {
    await authority.submit(transactionOf(submitted, TRANSACTION_BYTES))
    submitted += 1
  }
  // What is in line when the store is full waits, and is lost with the process, as of any worker.
  const filling = (async () => {
    for (;;) await submit(full)
  })().catch(() => {})
  await until('it is full', () => full.health().problems.some((problem) => problem.includes('store_bytes_max')), 60_000)
  const { ok, problems } = full.health()
  expect(ok).toBe(false)
  expect(problems).toContainEqual(expect.stringMatching(/^worker 0: .*retention_rounds is 0 .*start again/))
  await full.close()
  await filling

  const before = submitted
  const roomy = await start(member!, { parameters: parameters(256 * MIB) })
  for (let more = 0; more < 20; more += 1) await submit(roomy)
  const numbers: number[] = []
  const seen = (): boolean => Array.from({ length: 20 }, (_, n) => before + n).every((n) => numbers.includes(n))
  await within(
    'the order goes on',
    (async () => {
      for await (const commit of roomy.commits()) {
        for await (const batch of commit.batches()) numbers.push(...Array.from(batch.transactions(), numberOf))
        if (seen()) return
      }
    })(),
    60_000,
  )
  // All that was sealed is in the order once: a prefix of what was submitted before.
  const old = numbers.filter((number) => number < before)
  expect(old.length).toBeGreaterThan(300)
  expect([...old].sort((a, b) => a - b)).toEqual(Array.from({ length: old.length }, (_, n) => n))
  expect(new Set(numbers).size).toBe(numbers.length)
  expect(roomy.health().problems).toEqual([])
}, 180_000)
