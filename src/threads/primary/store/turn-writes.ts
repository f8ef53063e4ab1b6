/** The writes of turns, as puts of one transaction. */
import { assert } from '../../../shared/assert.js'
import {
  encodeNumbers,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
} from '../../../shared/store/primary/format.js'
import type { Put } from '../../../shared/store/write-outcomes.js'
import { type Evidence, encodeEvidence } from '../../../shared/wire/primary/evidence.js'
import type { CommitLog } from '../commit-log/commit-log.js'
import type { Round } from '../consensus/types.js'
import { EvidenceRounds } from '../evidence-rounds.js'
import type { Certificates } from './certificates.js'
import { GC_DELETES_BASE } from './limits.js'
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
  /** Of what there is. A put is not seen before its transaction is over. */
  private readonly evidence: EvidenceRounds
  private gcRound: Round

  constructor(dependencies: TurnWritesDependencies) {
    const { databases, keys } = dependencies
    this.dependencies = dependencies
    this.gcRound = readGcRound(databases, keys)
    const stored = databases.evidence.getKeys({ start: keys.least, end: keys.end })
    this.evidence = new EvidenceRounds(stored.map((key) => readKey.evidence(key)))
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

  /** Before anything is put: what LMDB has taken, it commits. */
  private check(writes: readonly Write[]): void {
    let { index } = this.dependencies.log.head
    for (const write of writes) {
      if (write.type !== 'commits' && write.type !== 'fetched' && write.type !== 'joined') continue
      for (const { commit } of write.type === 'joined' ? [] : write.records) {
        index += 1
        assert(commit.index === index, `commit ${commit.index} where ${index} is the next`)
      }
      if (write.type === 'fetched') continue
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
        for (const record of write.records) log.append(record)
        return state.put(keys.state('position'), encodePosition(write.state))
      case 'fetched':
        for (const record of write.records) log.append(record)
        kept.absentThrough(write.records.at(-1)!.commit.round)
        return state.put(keys.state('fetched'), encodeNumbers([write.records.at(-1)!.commit.index]))
      case 'joined':
        void state.remove(keys.state('fetched'))
        return state.put(keys.state('position'), encodePosition(write.state))
      case 'checkpoint-signed':
        return state.put(keys.state('checkpoint'), Buffer.from(write.bytes))
      case 'checkpoint-attested':
        return log.attested(write.index, write.bytes)
      case 'evidence':
        return this.putEvidence(write.evidence)
      case 'signing':
        return state.put(keys.state('signing'), encodeSigning(write.signing))
      case 'payload-complete':
        return state.put(keys.state('payload-round'), encodeNumbers([write.round]))
      case 'collected':
        this.gcRound = write.gcRound
        return state.put(keys.state('gc-round'), encodeNumbers([write.gcRound]))
    }
  }

  private putEvidence(evidence: Evidence): Put | undefined {
    const { databases, keys } = this.dependencies
    if (!this.evidence.add(evidence)) return undefined
    return databases.evidence.put(keys.evidence(evidence), Buffer.from(encodeEvidence(evidence)))
  }
}
