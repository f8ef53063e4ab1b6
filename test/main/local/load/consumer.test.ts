import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Authority } from '../../../../src/main/authority/authority.js'
import type { OrderedBatch, OrderedCommit } from '../../../../src/main/authority/commits.js'
import { consume } from '../../../../src/main/local/load/consumer.js'
import { parseLogLine } from '../../../../src/main/local/log-lines.js'
import { encodeBatch, readBatchHeader, transactions } from '../../../../src/shared/wire/batch.js'
import { writeClientTransaction } from '../../../../src/shared/wire/client-transaction.js'

const OURS = new Uint8Array(32).fill(1)
const THEIRS = new Uint8Array(32).fill(2)

function transaction(kind: 'sample' | 'standard', number: bigint, bytes: number): Uint8Array {
  const target = new Uint8Array(bytes)
  writeClientTransaction(target, kind, number)
  return target
}

function batchOf(author: Uint8Array, workerId: number, contents: Uint8Array[]): OrderedBatch {
  const bytes = encodeBatch(contents, { workerId, sequence: 1n })
  return {
    cursor: { commit: 1, position: 0 },
    digest: new Uint8Array(32),
    author,
    workerId,
    bytes,
    transactionCount: readBatchHeader(bytes).count,
    transactions: () => transactions(bytes),
  }
}

function authorityOf(commits: OrderedBatch[][], failure?: Error): Pick<Authority, 'commits'> {
  return {
    async *commits() {
      for (const [at, batches] of commits.entries()) {
        yield {
          index: at + 1,
          digest: () => new Uint8Array(32).fill(at + 1),
          async *batches() {
            yield* batches
            if (failure !== undefined) throw failure
          },
        } as OrderedCommit
      }
    },
  }
}

async function linesOf(authority: Pick<Authority, 'commits'>): Promise<string[]> {
  const lines: string[] = []
  await consume(authority, { publicKey: OURS, log: { info: (text) => lines.push(text) } })
  return lines
}

describe('the reader of commits', () => {
  const first = batchOf(OURS, 3, [transaction('standard', 5n, 20), transaction('sample', 7n, 30)])
  const second = batchOf(THEIRS, 0, [transaction('sample', 7n, 9)])

  it('says of each commit what all bytes of its batches are, and which samples of our clients it has', async () => {
    const lines = await linesOf(authorityOf([[first, second], []]))
    const checksum = crc32(second.bytes, crc32(first.bytes)).toString(16).padStart(8, '0')
    expect(lines).toEqual([
      'worker 3: Read sample tx 7',
      `Read commit 1 ${'01'.repeat(32)}: 2 batches of 59 B, checksum ${checksum}`,
      `Read commit 2 ${'02'.repeat(32)}: 0 batches of 0 B, checksum 00000000`,
    ])
    for (const line of lines) {
      expect(parseLogLine(`[2024-05-01T12:00:00.123Z INFO  narval::authority] ${line}`), line).toBeDefined()
    }
  })

  it('bytes of a batch that differ in one bit are told from those that were ordered', async () => {
    const bytes = new Uint8Array(first.bytes)
    bytes[bytes.length - 1]! ^= 1
    const [, said] = await linesOf(authorityOf([[first]]))
    const [, other] = await linesOf(authorityOf([[{ ...first, bytes }]]))
    expect(other).not.toBe(said)
  })

  it('says nothing of a commit that it could not read to its end, and why', async () => {
    const failure = new Error('it is closed')
    const lines: string[] = []
    const log = { info: (text: string) => lines.push(text) }
    await expect(consume(authorityOf([[second]], failure), { publicKey: OURS, log })).rejects.toBe(failure)
    expect(lines).toEqual([])
  })
})
