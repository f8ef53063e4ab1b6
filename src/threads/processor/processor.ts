/**
 * Processor: checks, hashes and stores batches, own ones and others', and says so after their commit.
 *
 * In: slots with a batch in them. Out: for each slot one answer, when the batch is stored at the node's ACK level or
 * was refused; the slot is not read after it.
 *
 * Source: asonnino/narwhal worker/src/processor.rs.
 */

import assert from 'node:assert'
import { shortName } from '../../shared/config/short-name.js'
import { BATCH_HEADER_BYTES, DIGEST_BYTES, TRANSACTION_PREFIX_BYTES } from '../../shared/constants.js'
import { encodeBase64 } from '../../shared/crypto/public-key.js'
import { NarvalError } from '../../shared/errors.js'
import type { Counters } from '../../shared/memory/counters.js'
import type {
  InboundStatus,
  InboundWork,
  OwnWork,
  ProcessorOptions,
  ProcessorToMain,
} from '../../shared/memory/dialogue/processor.js'
import type { Arena } from '../../shared/memory/slots.js'
import { storedBytes } from '../../shared/store/stored-bytes.js'
import { checkBatch, chunkCount, frameEnd, readBatchHeader } from '../../shared/wire/batch.js'
import { sampleNumber } from '../../shared/wire/client-transaction.js'
import { BatchDigester } from '../../shared/wire/digest.js'
import { digestKey } from '../../shared/wire/digest-key.js'
import { PUT_BYTES_MAX } from './limits.js'
import type { PutKind } from './puts.js'
import type { Shares } from './shares.js'
import type { Store } from './store.js'

export interface ProcessorDependencies {
  readonly own: Arena
  readonly inbound: Arena
  readonly store: Store
  readonly shares: Shares
  readonly counters: Counters<'processor'>
  /** Publishes to main and rings. */
  readonly send: (message: ProcessorToMain) => void
  /** It is not saturated any more: there may be work in the rings. */
  readonly onRelieved: () => void
  readonly log: (text: string) => void
  /** Lines with the same key are limited; keys are of a status and an authority. */
  readonly logRefusal: (key: string, text: string) => void
}

const NO_DIGEST = new Uint8Array(DIGEST_BYTES)

export class Processor {
  private readonly options: ProcessorOptions
  private readonly dependencies: ProcessorDependencies
  private readonly digester: BatchDigester
  private readonly chunkStarts: Uint32Array
  /** Batches whose commit is awaited, by digest: a second copy of one waits for the first. At most one per slot. */
  private readonly storing = new Map<string, Promise<void>>()
  private putBytes = 0
  private readonly author: Uint8Array

  constructor(options: ProcessorOptions, dependencies: ProcessorDependencies) {
    this.options = options
    this.dependencies = dependencies
    this.digester = new BatchDigester(options.batchBytesMax)
    this.chunkStarts = new Uint32Array(chunkCount(options.batchBytesMax))
    this.author = options.authorities[options.ownIndex]!
  }

  /** True while as much is being written, or waits for LMDB, as fits in the cache: more work is to wait in its ring. */
  get isSaturated(): boolean {
    // While batches wait for a file to be opened, others are still answered: refused, or acknowledged again.
    return this.putBytes >= PUT_BYTES_MAX && !this.dependencies.store.isStarved
  }

  /** Resolves when every batch taken on so far is stored; or those of them with these digests. */
  async settled(digests?: readonly Uint8Array[]): Promise<void> {
    await Promise.all(digests?.map((digest) => this.storing.get(digestKey(digest))) ?? this.storing.values())
  }

  /** Tells main how full the store is; after every change of that. */
  showStore(): void {
    const { counters, shares, store } = this.dependencies
    counters.set('storeBytes', shares.total)
    counters.set('storeNamedBytes', shares.in('named'))
    counters.set('storeCommittedBytes', shares.in('committed'))
    counters.set('storeFull', shares.isFullForOwn || store.isStarved ? 1 : 0)
    counters.set('storeRoomBytes', shares.room)
    counters.set('storeOwnUsed', shares.usedOf(this.options.ownIndex))
  }

  own(work: OwnWork): void {
    const bytes = this.dependencies.own.batch(work.slot, work.byteLength)
    const check = checkBatch(bytes, this.options, this.chunkStarts)
    assert(check.ok, `the batch-maker sealed a batch that is ${check.ok ? 'valid' : check.reason}`)
    const digest = new Uint8Array(DIGEST_BYTES)
    this.digester.digest(bytes, this.chunkStarts, this.author, digest)
    if (this.options.benchmark) this.logBatch(digest, bytes, check.transactionBytes)
    const { count: transactions, sequence, transactionBytes } = check
    void this.store(digest, this.author, bytes, { sequence, transactions, transactionBytes }).then(() => {
      this.dependencies.counters.add('ownStored')
      const { byteLength, sequence, slot } = work
      this.dependencies.send({ kind: 'own-stored', slot, byteLength, sequence, digest })
    })
  }

  foreign(work: InboundWork): void {
    const { counters, inbound, shares, store } = this.dependencies
    const bytes = inbound.batch(work.slot, work.byteLength)
    const check = checkBatch(bytes, this.options, this.chunkStarts)
    if (!check.ok) {
      this.refuse(work, readBatchHeader(bytes).sequence, NO_DIGEST, 'invalid', check.reason)
      return
    }
    const author = this.options.authorities[work.author]!
    const digest = new Uint8Array(DIGEST_BYTES)
    this.digester.digest(bytes, this.chunkStarts, author, digest)
    if (work.expected !== null && Buffer.compare(work.expected, digest) !== 0) {
      this.refuse(work, check.sequence, digest, 'not-as-asked', encodeBase64(digest))
      return
    }
    const storing = this.storing.get(digestKey(digest))
    const again = storing !== undefined || this.holds(digest, bytes)
    if (again === 'unknown' || (!again && store.isStarved)) {
      this.refuse(work, check.sequence, digest, 'store-full', 'this process may open no more files')
      return
    }
    const admission = again ? 'ok' : shares.admit(work.author, storedBytes(bytes.length), work.expected !== null)
    if (admission !== 'ok') {
      const [used, limit] =
        admission === 'quota'
          ? [shares.of(work.author), shares.shares[work.author]]
          : [shares.total, this.options.storeBytesMax]
      const what = admission === 'store-full' ? 'the store is full, ' : ''
      this.refuse(work, check.sequence, digest, admission, `${what}${used} of ${limit} bytes`)
      return
    }
    // A copy that is acknowledged again is kept from now on as long as one that is new: its author counts on it.
    // If it was deleted in between, it is stored anew: what is acknowledged is there.
    const isDelivered = work.peer === work.author
    const put = (): Promise<void> => this.store(digest, author, bytes, isDelivered ? 'delivered' : 'fetched')
    const touch = (): Promise<void> => store.touch(digest, isDelivered).then((isThere) => (isThere ? undefined : put()))
    const stored = storing?.then(() => (isDelivered ? touch() : undefined)) ?? (again ? touch() : put())
    void stored.then(() => {
      counters.add(again ? 'inboundAgain' : 'inboundStored')
      this.dependencies.send({
        kind: 'inbound-done',
        slot: work.slot,
        byteLength: work.byteLength,
        peer: work.peer,
        author: work.author,
        sequence: check.sequence,
        digest,
        status: 'ok',
        used: shares.usedOf(work.author),
        again,
      })
    })
  }

  /** Whether these bytes are stored; unknown while this process may open no more files to compare them. */
  private holds(digest: Uint8Array, bytes: Uint8Array): boolean | 'unknown' {
    try {
      return this.dependencies.store.holds(digest, bytes)
    } catch (error) {
      if (error instanceof NarvalError && error.code === 'ERR_BUSY') return 'unknown'
      throw error
    }
  }

  private refuse(
    work: InboundWork,
    sequence: bigint,
    digest: Uint8Array,
    status: Exclude<InboundStatus, 'ok'>,
    why: string,
  ): void {
    this.dependencies.counters.add('inboundRefused')
    this.dependencies.logRefusal(`${status} ${work.author} ${work.peer}`, this.refusalText(work, status, why))
    this.dependencies.send({
      kind: 'inbound-done',
      slot: work.slot,
      byteLength: work.byteLength,
      peer: work.peer,
      author: work.author,
      sequence,
      digest,
      status,
      used: this.dependencies.shares.usedOf(work.author),
      again: false,
    })
  }

  /** A lack of room is nobody's fault, and passes. */
  private refusalText({ author, peer }: InboundWork, status: Exclude<InboundStatus, 'ok'>, why: string): string {
    const [ofAuthor, ofPeer] = [author, peer].map((index) => shortName(encodeBase64(this.options.authorities[index]!)))
    const batch = author === peer ? `a batch of ${ofAuthor}` : `a batch of ${ofAuthor} from ${ofPeer}`
    switch (status) {
      case 'invalid':
        return `Refused ${batch}: it is invalid: ${why}`
      case 'not-as-asked':
        return `Refused ${batch}: another was asked for than ${why}`
      case 'quota':
        return `No room now for ${batch}: its share of the store is full, ${why}. It is sent again later`
      case 'store-full':
        return `No room now for ${batch}: ${why}. It is sent again later`
    }
  }

  private store(digest: Uint8Array, author: Uint8Array, bytes: Uint8Array, kind: PutKind): Promise<void> {
    const { counters, shares, store } = this.dependencies
    const startMs = performance.now()
    this.putBytes += bytes.length
    const key = digestKey(digest)
    const stored = store.put(digest, author, bytes, kind).then(() => {
      this.storing.delete(key)
      const wasSaturated = this.isSaturated
      this.putBytes -= bytes.length
      if (wasSaturated && !this.isSaturated) this.dependencies.onRelieved()
      counters.add('commits')
      counters.add('commitMs', performance.now() - startMs)
    })
    this.storing.set(key, stored)
    this.showStore()
    assert(shares.total <= this.options.storeBytesMax + storedBytes(this.options.batchBytesMax))
    return stored
  }

  /** The reference's lines, which its benchmark scripts read (reference: worker/src/batch_maker.rs). */
  private logBatch(digest: Uint8Array, bytes: Uint8Array, transactionBytes: number): void {
    const name = Buffer.from(digest).toString('base64')
    for (let at = BATCH_HEADER_BYTES; at < bytes.length; ) {
      const start = at + TRANSACTION_PREFIX_BYTES
      at = frameEnd(bytes, at)
      const number = sampleNumber(bytes, start, at)
      if (number !== undefined) this.dependencies.log(`Batch ${name} contains sample tx ${number}`)
    }
    this.dependencies.log(`Batch ${name} contains ${transactionBytes} B`)
  }
}
