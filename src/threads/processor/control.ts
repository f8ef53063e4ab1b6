/** Answers main's requests to the store (shared/memory/dialogue/processor.ts). */

import { setTimeout as sleep } from 'node:timers/promises'
import { WALK_CHUNK } from '../../shared/constants.js'
import { NarvalError } from '../../shared/errors.js'
import type { ProcessorAnswers, ProcessorRequest } from '../../shared/memory/dialogue/processor.js'
import { OPEN_RETRY_MS } from '../../shared/store/segments/limits.js'
import type { Processor } from './processor.js'
import type { Store } from './store.js'

export interface Answer {
  readonly answer: ProcessorAnswers[keyof ProcessorAnswers]
  readonly transfer: readonly ArrayBuffer[]
}

/**
 * A request for what cannot be read now, since this process may open no more files, is tried again until it can, or
 * `isOpen` says that nobody waits for the answer. Each may be done twice.
 */
export async function answerRequest(
  request: ProcessorRequest,
  store: Store,
  processor: Processor,
  isOpen: () => boolean,
): Promise<Answer> {
  for (;;) {
    try {
      return await answerNow(request, store, processor)
    } catch (error) {
      if (!(error instanceof NarvalError) || error.code !== 'ERR_BUSY') throw error
      if (!isOpen()) return { answer: undefined, transfer: [] }
      await sleep(OPEN_RETRY_MS)
    }
  }
}

async function answerNow(request: ProcessorRequest, store: Store, processor: Processor): Promise<Answer> {
  switch (request.type) {
    case 'get': {
      const answer = store.get(request.digest)
      return { answer, transfer: answer === undefined ? [] : [answer.bytes.buffer] }
    }
    case 'find': {
      // A batch that is being stored now is waited for: otherwise it would be asked of a peer.
      await processor.settled(request.digests)
      // A damaged batch counts as one that is not there.
      for (const digest of request.digests) await store.verified(digest)
      if (request.touch) await Promise.all(request.digests.map((digest) => store.touch(digest)))
      const found = request.digests.map((digest) => {
        const entry = store.find(digest)
        return entry && { author: entry.author, sequence: entry.sequence, isDelivered: entry.isDelivered }
      })
      return { answer: found, transfer: [] }
    }
    case 'reported':
      await store.markReported(request.digests)
      return { answer: undefined, transfer: [] }
    case 'cleanup':
      return { answer: { deleted: await store.cleanup(request.round, request.primaryRound) }, transfer: [] }
    case 'cleanup-state':
      return { answer: { stamp: store.stamp, primaryRound: store.primaryRound }, transfer: [] }
    case 'reserve-sequences':
      return { answer: await store.reserveSequences(Date.now(), request.after), transfer: [] }
    case 'unreported':
      return { answer: store.unreported(request, WALK_CHUNK), transfer: [] }
    case 'own':
      return { answer: store.own(request, WALK_CHUNK), transfer: [] }
    case 'recent': {
      const from = store.stamp > request.rounds ? store.stamp - request.rounds : 0n
      return { answer: await store.since(from, request.after, WALK_CHUNK), transfer: [] }
    }
    case 'uncommitted':
      return { answer: store.uncommitted(request.after, WALK_CHUNK), transfer: [] }
    case 'commit-state':
      return { answer: store.commitState, transfer: [] }
    case 'committed':
      await store.committed(request)
      return { answer: undefined, transfer: [] }
    case 'named':
      store.name(request.digests, request.isAnew)
      return { answer: undefined, transfer: [] }
    case 'unnamed':
      store.unname(request.digests)
      return { answer: undefined, transfer: [] }
  }
}
