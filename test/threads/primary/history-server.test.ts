import { expect, test } from 'vitest'
import { decodeHistoryEnd } from '../../../src/shared/wire/primary/history.js'
import { HistoryServer } from '../../../src/threads/primary/history/history-server.js'
import { TurnBuilder } from '../../../src/threads/primary/turn.js'

test('nothing is read for a peer that has used up its share: it is told that there is nothing', () => {
  const read = (): never => {
    throw new Error('it is read')
  }
  const taken: number[] = []
  const server = new HistoryServer({
    store: { lastCommit: 64, oldestCommit: 1, commitRecord: read, rangeNode: read, checkpoint: read },
    mayServe: () => false,
    take: (_, bytes) => void taken.push(bytes),
  })
  for (const checkpoint of [0, 64]) {
    const turn = new TurnBuilder({ ms: 0, unixMs: 0 })
    server.answer(1, { checkpoint, first: checkpoint === 0 ? 0 : 1, count: checkpoint === 0 ? 0 : 2, offset: 0 }, turn)
    const { sends } = turn
    expect(sends.map(({ bytes }) => decodeHistoryEnd(bytes))).toEqual([
      { checkpoint: 0, first: checkpoint === 0 ? 0 : 1, oldest: 1 },
    ])
  }
  expect(taken).toEqual([])
})
