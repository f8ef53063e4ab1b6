/** Main's end of the processor's control port: requests to the store, and their answers. */

import type { MessagePort } from 'node:worker_threads'
import { NarvalError } from '../../shared/errors.js'
import type {
  ProcessorAnswers,
  ProcessorCall,
  ProcessorReply,
  ProcessorRequest,
} from '../../shared/memory/dialogue/processor.js'
import type { GcRelief } from '../lib/gc-relief.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'

type AnswerTo<R extends ProcessorRequest> = ProcessorAnswers[R['type']]

export class ProcessorClient {
  private readonly port: MessagePort
  /** Requests that are under way: bounded by what asks (Helper, Synchronizer, Resender), each with a limit of its own. */
  private readonly pending = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>()
  private nextId = 0
  private closed = false

  constructor(port: MessagePort, { guard }: Supervisor = unsupervised, gcRelief?: Pick<GcRelief, 'allocated'>) {
    this.port = port
    const onMessage = guard('an answer of the processor', ({ id, answer }: ProcessorReply) => {
      if (answer !== undefined && 'bytes' in answer) gcRelief?.allocated(answer.bytes.byteLength)
      const request = this.pending.get(id)
      this.pending.delete(id)
      request?.resolve(answer as never)
    })
    port.on('message', onMessage)
  }

  /** Rejects with ERR_CLOSED if the node is closing. */
  ask<R extends ProcessorRequest>(request: R): Promise<AnswerTo<R>> {
    if (this.closed) return Promise.reject(new NarvalError('ERR_CLOSED', 'the worker is closed'))
    const id = this.nextId
    this.nextId += 1
    return new Promise<AnswerTo<R>>((resolve, reject) => {
      this.pending.set(id, { resolve, reject })
      this.port.postMessage({ id, request } satisfies ProcessorCall)
    })
  }

  /** Ends the processor: it closes the store and returns. */
  close(): void {
    this.closed = true
    this.port.close()
    const error = new NarvalError('ERR_CLOSED', 'the worker is closed')
    for (const { reject } of this.pending.values()) reject(error)
    this.pending.clear()
  }
}
