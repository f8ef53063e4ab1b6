/** The writes of turns, as puts of one transaction. */
import { assert } from '../../../shared/assert.js'
import {
  damaged,
  encodeNumbers,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
} from '../../../shared/store/primary/format.js'
import type { Put } from '../../../shared/store/write-outcomes.js'
import type { CommitLog } from '../commit-log/commit-log.js'
import type { AuthorityIndex, Round } from '../consensus/types.js'
import type { Certificates } from './certificates.js'
import { EVIDENCE_PER_AUTHOR_MAX, GC_DELETES_BASE } from './limits.js'
import { encodePosition, encodeSigning, readGcRound } from './stored-state.js'
import type { Write } from './writes.js'

const EMPTY = new Uint8Array(0)

export interface TurnWritesDependencies {
  readonly databases: PrimaryDatabases
  readonly keys: PrimaryKeys
  readonly log: CommitLog
  readonly kept: Certificates
}

export class TurnWrites {
  private readonly dependencies: TurnWritesDependencies
  /** How much evidence there is against each author. */
  private readonly evidenceCounts = new Map<AuthorityIndex, number>()
  private gcRound: Round

  constructor(dependencies: TurnWritesDependencies) {
    const { databases, keys } = dependencies
    this.dependencies = dependencies
    this.gcRound = readGcRound(databases, keys)
    for (const key of databases.evidence.getKeys({ start: keys.least, end: keys.end })) {
      this.countEvidence(readKey.evidence(key).author)
    }
  }

  /**
   * Puts these writes, all in this turn of the event loop, which makes them one transaction, and deletes in it what is too
   * old. Returns the last put; undefined if nothing was worth one.
   */
  put(writes: readonly Write[]): Put | undefined {
    this.check(writes)
    let put: Put | undefined
    for (const write of writes) put = this.putOne(write) ?? put
    if (put === undefined) return undefined
    const { kept, log } = this.dependencies
    const deletesMax = GC_DELETES_BASE + 2 * writes.length
    put = kept.finish(this.gcRound, deletesMax) ?? put
    return log.finish(deletesMax) ?? put
  }

  /** The two headers, or certificates, of an author in a round that are kept as evidence, as records. */
  evidence(author: AuthorityIndex, round: Round): readonly [first: Uint8Array, second: Uint8Array] | undefined {
    const { databases, keys } = this.dependencies
    const value = databases.evidence.getBinary(keys.evidence(author, round))
    if (value === undefined) return undefined
    if (value.length < 4) throw damaged(`evidence of ${value.length} bytes`)
    const end = 4 + value.readUInt32BE(0)
    return [new Uint8Array(value.subarray(4, end)), new Uint8Array(value.subarray(end))]
  }

  /** Before anything is put: what LMDB has taken, it commits. */
  private check(writes: readonly Write[]): void {
    let { index } = this.dependencies.log.head
    for (const write of writes) {
      if (write.type !== 'commits') continue
      for (const commit of write.commits) {
        index += 1
        assert(commit.index === index, `commit ${commit.index} where ${index} is the next`)
      }
      assert(write.state.index === index, `consensus stands at commit ${write.state.index}, the log at ${index}`)
    }
  }

  private putOne(write: Write): Put | undefined {
    const { databases, kept, keys, log } = this.dependencies
    const { own, payload, state, votes } = databases
    switch (write.type) {
      case 'own-header':
        return state.put(keys.state('own-header'), Buffer.concat([encodeNumbers([write.round]), write.bytes]))
      case 'vote':
        return votes.put(keys.vote(write.author), Buffer.from(write.bytes))
      case 'certificate':
        return kept.put(write.round, write.author, write)
      case 'payload':
        return payload.put(keys.batch(write.batch), EMPTY)
      case 'payload-done':
        return payload.remove(keys.batch(write.batch))
      case 'worker-store':
        return state.put(keys.workerStore(write.worker), Buffer.from(write.storeId))
      case 'own-batch':
        return own.put(keys.batch(write.batch), EMPTY)
      case 'own-batch-done':
        return own.remove(keys.batch(write.batch))
      case 'commits':
        for (const commit of write.commits) log.append(commit)
        return state.put(keys.state('position'), encodePosition(write.state))
      case 'evidence':
        return this.putEvidence(write)
      case 'certificate-evidence':
        return databases.evidence.put(keys.evidence(write.author, write.round), pairOf(write))
      case 'signing':
        return state.put(keys.state('signing'), encodeSigning(write.signing))
      case 'payload-complete':
        return state.put(keys.state('payload-round'), encodeNumbers([write.round]))
      case 'collected':
        this.gcRound = write.gcRound
        return state.put(keys.state('gc-round'), encodeNumbers([write.gcRound]))
    }
  }

  private putEvidence({ author, first, round, second }: Extract<Write, { type: 'evidence' }>): Put | undefined {
    const { databases, keys } = this.dependencies
    const key = keys.evidence(author, round)
    const isEnough = (this.evidenceCounts.get(author) ?? 0) >= EVIDENCE_PER_AUTHOR_MAX
    if (isEnough || databases.evidence.doesExist(key)) return undefined
    this.countEvidence(author)
    return databases.evidence.put(key, pairOf({ first, second }))
  }

  private countEvidence(author: AuthorityIndex): void {
    this.evidenceCounts.set(author, (this.evidenceCounts.get(author) ?? 0) + 1)
  }
}

function pairOf({ first, second }: { readonly first: Uint8Array; readonly second: Uint8Array }): Buffer {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(first.length)
  return Buffer.concat([length, first, second])
}
