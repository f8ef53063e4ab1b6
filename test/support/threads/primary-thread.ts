/** A real primary's thread with a real store, with the test in the place of main and of the peers. */
import { MessageChannel } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import type { Logger } from '../../../src/main/lib/log.js'
import { PrimaryClient } from '../../../src/main/primary/primary-client.js'
import { publicKeyOf, signer } from '../../../src/shared/crypto/ed25519.js'
import { encodeBase64 } from '../../../src/shared/crypto/public-key.js'
import type { NarvalError } from '../../../src/shared/errors.js'
import { CommitLogHead } from '../../../src/shared/memory/commit-log-head.js'
import { Counters } from '../../../src/shared/memory/counters.js'
import type { PrimarySend, PrimaryTask, PrimaryToMain } from '../../../src/shared/memory/dialogue/primary.js'
import { createPrimaryMemory } from '../../../src/shared/memory/primary-memory.js'
import { writeFreshMarker } from '../../../src/shared/store/primary/fresh-marker.js'
import { genesisDigests } from '../../../src/shared/wire/primary/genesis.js'
import {
  type BatchEntry,
  encodeHeader,
  headerSignatureMessage,
  type SignedHeader,
  type UnsignedHeader,
} from '../../../src/shared/wire/primary/header.js'
import { headerId } from '../../../src/shared/wire/primary/header-id.js'
import { compareBytes } from '../../../src/shared/wire/primary/record.js'
import { type Vote, voteMessage } from '../../../src/shared/wire/primary/vote.js'
import { fromDist } from './main-side.js'

export const COMMITTEE_DIGEST = new Uint8Array(32).fill(0xdd)
/** The seeds of a committee of four, by authority index. */
export const SEEDS = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte))
export const PUBLIC_KEYS = SEEDS.map(publicKeyOf)

export interface PrimaryThreadUnderTest {
  readonly authority: number
  readonly client: PrimaryClient
  readonly counters: Counters<'primary'>
  readonly head: CommitLogHead
  /** All that the thread said. */
  readonly outputs: PrimaryToMain[]
  readonly log: string[]
  readonly died: NarvalError[]
  readonly close: () => Promise<void>
}

export interface PrimaryThreadOptions {
  readonly directory: string
  readonly authority?: number
  /** The store is new, and says so. */
  readonly fresh?: boolean
  readonly onSends?: (sends: readonly PrimarySend[]) => void
  readonly onCredit?: (peer: number) => void
}

export async function startPrimaryThread(options: PrimaryThreadOptions): Promise<PrimaryThreadUnderTest> {
  const { authority = 0, directory, fresh = true, onCredit = () => {}, onSends = () => {} } = options
  const { Threads } =
    await fromDist<typeof import('../../../src/main/thread-host/threads.js')>('main/thread-host/threads.js')
  if (fresh) writeFreshMarker(directory, encodeBase64(PUBLIC_KEYS[authority]!))
  const memory = createPrimaryMemory()
  const log: string[] = []
  const died: NarvalError[] = []
  const logger = Object.fromEntries(
    ['error', 'warn', 'info', 'debug', 'trace'].map((level) => [level, (text: string) => log.push(`${level} ${text}`)]),
  ) as unknown as Logger
  const threads = new Threads({ layout: memory, log: logger, onDied: (error) => died.push(error) })
  const { port1, port2 } = new MessageChannel()
  const outputs: PrimaryToMain[] = []
  const onOutput = (output: PrimaryToMain): void => {
    outputs.push(output)
    onSends(output.sends)
  }
  const client = new PrimaryClient(port1, SEEDS.length, { onOutput, onCredit })
  onTestFinished(async () => {
    client.close()
    await threads.end('primary', 'failed')
  })
  const task: Omit<PrimaryTask, 'port'> = {
    memory,
    events: port2,
    primary: {
      authority,
      committeeDigest: COMMITTEE_DIGEST,
      stakes: SEEDS.map(() => 1),
      publicKeys: PUBLIC_KEYS,
      workers: SEEDS.map(() => [0]),
      rule: 'shoal',
      gcDepth: 50,
      maxHeaderDelayMs: 100,
    },
    seed: SEEDS[authority]!,
    store: { directory },
  }
  await threads.start('primary', task, [port2])
  return {
    authority,
    client,
    counters: new Counters(memory.counters.primary, 'primary'),
    head: new CommitLogHead(memory.commitLogHead.buffer, memory.commitLogHead.byteOffset),
    outputs,
    log,
    died,
    close: async () => {
      client.close()
      await threads.end('primary', 'in-order')
    },
  }
}

export function batchOf(author: number, sequence: number): BatchEntry {
  const digest = new Uint8Array(32).fill(author * 16 + 1)
  new DataView(digest.buffer).setUint32(0, sequence)
  return { digest, author, worker: 0, sequence: BigInt(sequence) }
}

/** A header of round 1, on genesis. */
export function headerOf(author: number, more: Partial<UnsignedHeader> = {}): SignedHeader {
  const parents = [...genesisDigests(COMMITTEE_DIGEST, 0, SEEDS.length)].sort(compareBytes)
  const unsigned = { author, epoch: 0, round: 1, createdAt: Date.now(), parents, payload: [], ...more }
  return {
    ...unsigned,
    signature: signer(SEEDS[author]!)(headerSignatureMessage(headerId(COMMITTEE_DIGEST, unsigned))),
  }
}

/** A header whose signature is of another one. */
export function falseHeader(author: number, createdAt: number): Uint8Array {
  return encodeHeader({ ...headerOf(author), createdAt })
}

export function voteOf(voter: number, header: SignedHeader): Vote {
  const voted = { author: header.author, round: header.round, epoch: 0, headerId: headerId(COMMITTEE_DIGEST, header) }
  return { ...voted, voter, signature: signer(SEEDS[voter]!)(voteMessage(COMMITTEE_DIGEST, voted)) }
}

/** Everything of this kind that a thread said. */
export function refusalsIn(outputs: readonly PrimaryToMain[], reason: string): number {
  return outputs.flatMap(({ refusals }) => refusals).reduce((sum, r) => sum + (r.reason === reason ? r.count : 0), 0)
}
