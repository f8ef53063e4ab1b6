/** A primary that takes reports and commits nothing: the worker says so, once, and says when it is over. */
import { expect, onTestFinished, test } from 'vitest'
import { FakePrimary } from '../../support/fake-primary.js'
import { startNode } from '../../support/started-node.js'
import { transactionOf } from '../../support/transactions.js'
import { until } from '../../support/until.js'

test('health and log name it while batches are certified, and it is over with the next Cleanup', async () => {
  const lines: string[] = []
  const line = (text: string): void => {
    if (text.includes('of no commit')) lines.push(text)
  }
  const started = await startNode({ warn: line, info: line }, true)
  const { node } = started
  const primary = new FakePrimary(started.workerToPrimary.port, started.primaryToWorker.port)
  await primary.open()
  onTestFinished(() => primary.close())
  const certify = async (number: number): Promise<void> => {
    const { size } = primary.own
    await node.submit(transactionOf(number, 100))
    await until('it is reported', () => primary.own.size > size)
  }
  const problems = (): readonly string[] => node.health().problems.filter((text) => text.includes('of no commit'))

  await primary.send({ type: 'Cleanup', round: 2n })
  await certify(1)
  expect(problems()).toEqual([])
  await until('it is named', () => problems().length > 0)
  expect(problems()).toEqual([expect.stringMatching(/no commit for \d+ s, and 1 batches were certified/)])
  expect(node.health()).toMatchObject({ ok: true, primaryConnected: true, primaryCommitting: false })
  await until('the log says it', () => lines.length > 0)
  await certify(2)
  expect(lines).toEqual([expect.stringContaining('it commits nothing')])

  // A round that does not follow is no commit.
  await primary.send({ type: 'Cleanup', round: 1n })
  await certify(3)
  expect(node.health().primaryCommitting).toBe(false)
  await primary.send({ type: 'Cleanup', round: 4n })
  await until('it is over', () => node.health().primaryCommitting)
  expect(problems()).toEqual([])
  await until('the log says so', () => lines.some((text) => text.includes('commits again')))
  expect(lines.filter((text) => text.includes('commits'))).toHaveLength(2)
})
