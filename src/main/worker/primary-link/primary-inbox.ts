/**
 * What the primary tells the worker, whichever way it comes: decoded, judged (`primary-trust.ts`), and handed on.
 *
 * A frame may hold 262,142 digests and come from anybody, so nothing is built of them before the message is accepted.
 */

import type { Committee } from '../../../shared/config/committee.js'
import { DIGEST_BYTES, PUBLIC_KEY_BYTES } from '../../../shared/constants.js'
import { NarvalError } from '../../../shared/errors.js'
import type { PrimaryRefusal } from '../../../shared/refusals.js'
import { BincodeReader } from '../../../shared/wire/bincode.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import { type PrimaryWorkerMessage, readPublicKey } from '../../../shared/wire/primary-messages.js'
import { FOREIGN_SYNCHRONIZE_PER_SECOND } from './limits.js'
import { judge, type PrimaryRequest } from './primary-trust.js'
import { SynchronizeRates } from './synchronize-rates.js'

export interface PrimaryHandlers {
  /**
   * These batches are missed, each named once; `target` is the index of the authority that they are of. If that is
   * our own, an authority lacks batches of ours, and they are to be pushed again; `source` is who asks, for shares.
   */
  onSynchronize(digests: readonly Uint8Array[], target: number, source: string): void
  /** Our primary has committed up to this round. */
  onCleanup(round: bigint): void
  /** `from` is an address, or 'in-process'. Called for each refusal: whoever logs limits the log. */
  onRefused(reason: PrimaryRefusal, from: string, detail: string): void
}

export interface PrimaryInboxOptions {
  readonly committee: Committee
  /** Our authority's index. */
  readonly ownIndex: number
}

export interface PrimaryInboxDependencies {
  /** A clock that does not go back; `performance.now` if not given. */
  readonly nowMs?: () => number
}

export interface PrimarySender {
  /** Address and port, for people. */
  readonly from: string
  /** The address, or the part of it that counts as one for shares. */
  readonly source: string
  readonly isOwnPrimary: boolean
  /** The committee file names no primary at its address. */
  readonly isStranger: boolean
}

/** Whether a message was taken; if not, whether the connection that it came on may stay. */
export type Outcome = 'taken' | 'keep' | 'close'

/** A tag and a count of digests; behind these, the length and the base64 of a public key. */
const SYNCHRONIZE_HEAD_BYTES = 4 + 8
const ENCODED_PUBLIC_KEY_BYTES = 8 + 4 * Math.ceil(PUBLIC_KEY_BYTES / 3)

export class PrimaryInbox {
  private readonly options: PrimaryInboxOptions
  private readonly handlers: PrimaryHandlers
  private readonly nowMs: () => number
  private readonly rates = new SynchronizeRates()

  constructor(options: PrimaryInboxOptions, dependencies: PrimaryInboxDependencies, handlers: PrimaryHandlers) {
    this.options = options
    this.handlers = handlers
    this.nowMs = dependencies.nowMs ?? (() => performance.now())
  }

  /** Takes one frame's payload, which is lent for the call. */
  takeFrame(payload: Uint8Array, sender: PrimarySender): Outcome {
    const message = decode(payload)
    switch (message.type) {
      case 'malformed':
        return this.refuse('message-malformed', sender, message.detail)
      case 'Cleanup': {
        const outcome = this.admit({ type: 'Cleanup' }, sender)
        if (outcome === 'taken') this.handlers.onCleanup(message.round)
        return outcome
      }
      case 'Synchronize':
        return this.synchronize(message.target, message.count, message.digestAt, sender)
    }
  }

  /** Takes a message of our own primary's, from within the process. */
  takeMessage(message: PrimaryWorkerMessage): void {
    const sender = { from: 'in-process', source: 'in-process', isOwnPrimary: true, isStranger: false }
    if (message.type === 'Cleanup') this.handlers.onCleanup(message.round)
    else this.synchronize(message.target, message.digests.length, (index) => message.digests[index]!, sender)
  }

  refuse(reason: PrimaryRefusal, { from }: PrimarySender, detail: string): Outcome {
    this.handlers.onRefused(reason, from, detail)
    return 'close'
  }

  private synchronize(
    targetKey: Uint8Array,
    digestCount: number,
    digestAt: (index: number) => Uint8Array,
    sender: PrimarySender,
  ): Outcome {
    const target = this.options.committee.indexOf(targetKey)
    const outcome = this.admit({ type: 'Synchronize', digestCount, target }, sender)
    if (outcome !== 'taken') return outcome
    const digests = distinct(digestCount, digestAt)
    if (digests.length > 0) this.handlers.onSynchronize(digests, target, sender.source)
    return 'taken'
  }

  private admit(request: PrimaryRequest, sender: PrimarySender): Outcome {
    const verdict = judge(request, sender.isOwnPrimary, this.options.ownIndex)
    if (!verdict.accepted) {
      this.refuse(verdict.reason, sender, verdict.detail)
      return verdict.closes ? 'close' : 'keep'
    }
    const digestCount = request.type === 'Synchronize' ? request.digestCount : 0
    const { isStranger, source } = sender
    if (!verdict.isRateLimited || this.rates.admit(source, isStranger, digestCount, this.nowMs())) return 'taken'
    this.refuse(
      'synchronize-rate',
      sender,
      `more than ${FOREIGN_SYNCHRONIZE_PER_SECOND} Synchronize messages a second, or their digests, from one source`,
    )
    return 'keep'
  }
}

type Decoded =
  | { readonly type: 'Cleanup'; readonly round: bigint }
  | {
      readonly type: 'Synchronize'
      readonly target: Uint8Array
      readonly count: number
      readonly digestAt: (index: number) => Uint8Array
    }
  | { readonly type: 'malformed'; readonly detail: string }

/** What the bytes say. Nothing of it is done here, so what is malformed is so by the sender's hand. */
function decode(payload: Uint8Array): Decoded {
  try {
    return decodeMessage(payload)
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_CODEC') throw error
    return { type: 'malformed', detail: error.message }
  }
}

/** Errors: `ERR_CODEC`. Bytes after the message are accepted, as by the reference. */
function decodeMessage(payload: Uint8Array): Decoded {
  const reader = new BincodeReader(payload)
  if (reader.variant(2, 'PrimaryWorkerMessage') === 1) return { type: 'Cleanup', round: reader.u64() }
  const count = reader.count(DIGEST_BYTES, 'digests')
  const end = SYNCHRONIZE_HEAD_BYTES + count * DIGEST_BYTES
  // Not to the end of the payload: a string of 8 MiB would be looked through for what is not ASCII.
  const target = readPublicKey(new BincodeReader(payload.subarray(end, end + ENCODED_PUBLIC_KEY_BYTES)))
  const digestAt = (index: number): Uint8Array => {
    const start = SYNCHRONIZE_HEAD_BYTES + index * DIGEST_BYTES
    return payload.subarray(start, start + DIGEST_BYTES)
  }
  return { type: 'Synchronize', target, count, digestAt }
}

/** The digests, copied, each once, in the order of their first occurrence. */
function distinct(count: number, digestAt: (index: number) => Uint8Array): Uint8Array[] {
  const digests = new Map<string, Uint8Array>()
  for (let index = 0; index < count; index += 1) {
    const digest = digestAt(index)
    const key = digestKey(digest)
    if (!digests.has(key)) digests.set(key, new Uint8Array(digest))
  }
  return [...digests.values()]
}
