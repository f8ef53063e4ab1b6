/** A worker's store that is as large as it may be never stops the order: the oldest that is ordered gives way. */
import { expect, test } from 'vitest'
import { defaultParameters } from '../../../src/shared/config/parameters.js'
import type { CommitsPrunedError } from '../../../src/shared/errors.js'
import { newMembers, start } from '../../support/authority-under-test.js'
import { numberOf, transactionOf } from '../../support/transactions.js'
import { until, within } from '../../support/until.js'

const MIB = 1024 * 1024
const TRANSACTION_BYTES = 100_000
/** Twice what the store takes. */
const TRANSACTIONS = 1_200

test('an authority whose store has room for half of what it orders orders all of it; who reads too late is told from where on', async () => {
  const [member] = await newMembers(1)
  const parameters = { ...defaultParameters(), ...{ maxBatchDelayMs: 5, ownSlots: 4, storeBytesMax: 64 * MIB } }
  const authority = await start(member!, { parameters })
  // One reader keeps up, and sees all of it.
  const seen: number[] = []
  const reading = (async () => {
    for await (const commit of authority.commits()) {
      for await (const batch of commit.batches()) seen.push(...Array.from(batch.transactions(), numberOf))
      if (seen.length === TRANSACTIONS) return commit.index
    }
    throw new Error('the commits ended')
  })()
  for (let number = 0; number < TRANSACTIONS; number += 1) {
    await authority.submit(transactionOf(number, TRANSACTION_BYTES))
    await until('the reader keeps up', () => seen.length > number - 100, 60_000)
  }
  const last = await within('all of it is ordered', reading, 120_000)
  expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: TRANSACTIONS }, (_, number) => number))
  // It may be full for a moment, until what gives way is gone.
  await until('nothing is wrong', () => authority.health().problems.length === 0)
  const late = async (after: number): Promise<number> => {
    let count = 0
    for await (const commit of authority.commits({ after })) {
      for await (const batch of commit.batches()) count += [...batch.transactions()].length
      if (commit.index >= last) return count
    }
    throw new Error('the commits ended')
  }
  const error = (await late(0).catch((thrown: unknown) => thrown)) as CommitsPrunedError
  expect(error).toMatchObject({ code: 'ERR_COMMITS_PRUNED' })
  expect(error.oldest).toBeGreaterThan(1)
  // From there on all can be read, whole: about what the store takes.
  const whole = await late(error.oldest - 1)
  expect(whole).toBeLessThan(TRANSACTIONS)
  expect(whole * TRANSACTION_BYTES).toBeGreaterThan((64 * MIB) / 3)
  await until('the store is within its limit', async () => {
    const bytes = Number(/^narval_store_bytes\{.*\} (\d+)$/m.exec(await authority.metrics())![1])
    return bytes <= 64 * MIB
  })
}, 240_000)
