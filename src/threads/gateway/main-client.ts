/** The thread's end of its port to main: questions, and their answers. */
import type { MessagePort } from 'node:worker_threads'
import { NarvalError } from '../../shared/errors.js'
import type {
  GatewayAnswer,
  GatewayAnswers,
  GatewayQuestion,
  NumberedQuestion,
} from '../../shared/memory/dialogue/gateway.js'
import { ANSWER_MS_MAX, QUESTIONS_MAX } from './limits.js'

interface Pending {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

export class MainClient {
  private readonly port: MessagePort
  private readonly pending = new Map<number, Pending>()
  private nextId = 0

  constructor(port: MessagePort) {
    this.port = port
    port.on('message', (answer: GatewayAnswer) => this.take(answer))
  }

  /** Rejects with ERR_BUSY if main does not answer in time or has too much to answer, and with what main answers. */
  ask<Q extends GatewayQuestion>(question: Q): Promise<GatewayAnswers[Q['type']]> {
    if (this.pending.size >= QUESTIONS_MAX) return Promise.reject(busy(`${this.pending.size} questions wait`))
    const id = this.nextId
    this.nextId += 1
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id)
        reject(busy(`no answer within ${ANSWER_MS_MAX} ms`))
      }, ANSWER_MS_MAX)
      this.pending.set(id, { resolve, reject, timer })
      this.port.postMessage({ id, question } satisfies NumberedQuestion)
    })
  }

  /** What waits is refused. */
  close(): void {
    for (const { reject, timer } of this.pending.values()) {
      clearTimeout(timer)
      reject(new NarvalError('ERR_CLOSED', 'the authority is closed'))
    }
    this.pending.clear()
  }

  private take(answer: GatewayAnswer): void {
    const pending = this.pending.get(answer.id)
    // It came too late.
    if (pending === undefined) return
    this.pending.delete(answer.id)
    clearTimeout(pending.timer)
    if ('answer' in answer) pending.resolve(answer.answer as never)
    else pending.reject(errorOf(answer.error))
  }
}

function errorOf({ code, message }: { readonly code?: NarvalError['code']; readonly message: string }): Error {
  return code === undefined ? new Error(message) : new NarvalError(code, message)
}

function busy(why: string): NarvalError {
  return new NarvalError('ERR_BUSY', `the node is busy: ${why}: try again`)
}
