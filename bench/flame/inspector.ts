/** A connection to the inspector of a Node process, by the Chrome DevTools protocol: its main thread and its workers. */
import WebSocket from 'ws'

/** One thread's end of the connection. */
export interface Session {
  /** `main`, or the worker's title: `[worker 2] quorum-waiter`. */
  readonly title: string
  /** The file that the worker was started with; empty for main. */
  readonly url: string
  /** @throws Error when the thread refuses, or does not answer within the deadline */
  send<T>(method: string, params?: object): Promise<T>
}

/** A thread that blocks answers when it wakes, one of a saturated node when it gets to it. */
export const ANSWER_DEADLINE_MS = 10_000
/** Workers are told of one by one, without a sign which is the last. */
const ATTACH_MS = 500
const MESSAGE_BYTES_MAX = 512 * 1024 * 1024

interface Answer {
  readonly id?: number
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

/** The calls of one session that have no answer yet. */
class Calls {
  private readonly pending = new Map<number, (answer: Answer) => void>()
  private readonly write: (text: string) => void
  private last = 0

  constructor(write: (text: string) => void) {
    this.write = write
  }

  send<T>(method: string, params: object = {}): Promise<T> {
    this.last += 1
    const id = this.last
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id)
        reject(new Error(`no answer to ${method} within ${ANSWER_DEADLINE_MS / 1000} s`))
      }, ANSWER_DEADLINE_MS)
      this.pending.set(id, ({ result, error }) => {
        clearTimeout(timer)
        if (error === undefined) resolve(result as T)
        else reject(new Error(`${method}: ${error.message}`))
      })
      this.write(JSON.stringify({ id, method, params }))
    })
  }

  settle(answer: Answer): void {
    if (answer.id === undefined) return
    this.pending.get(answer.id)?.(answer)
    this.pending.delete(answer.id)
  }

  end(): void {
    for (const id of [...this.pending.keys()]) this.settle({ id, error: { message: 'the connection ended' } })
  }
}

export class Inspector {
  /** Main first, then the workers. */
  readonly sessions: Session[] = []
  private readonly socket: WebSocket
  private readonly main: Calls
  private readonly workers = new Map<string, Calls>()

  private constructor(socket: WebSocket) {
    this.socket = socket
    this.main = new Calls((text) => socket.send(text))
    this.sessions.push({ title: 'main', url: '', send: (method, params) => this.main.send(method, params) })
    socket.on('message', (data) => this.onMessage(JSON.parse(String(data)) as Answer))
    socket.on('close', () => {
      this.main.end()
      for (const calls of this.workers.values()) calls.end()
    })
    // The end follows, and says it to whoever waits.
    socket.on('error', () => {})
  }

  /** @param url as the process prints it: `ws://127.0.0.1:9229/…` */
  static async connect(url: string): Promise<Inspector> {
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX })
    await new Promise((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    const inspector = new Inspector(socket)
    await inspector.main.send('NodeWorker.enable', { waitForDebuggerOnStart: false })
    await new Promise((resolve) => setTimeout(resolve, ATTACH_MS))
    return inspector
  }

  private onMessage(message: Answer): void {
    if (message.method === 'NodeWorker.attachedToWorker') this.attached(message.params as unknown as Attached)
    else if (message.method === 'NodeWorker.receivedMessageFromWorker') {
      const { sessionId, message: text } = message.params as { sessionId: string; message: string }
      this.workers.get(sessionId)?.settle(JSON.parse(text) as Answer)
    } else this.main.settle(message)
  }

  private attached({ sessionId, workerInfo }: Attached): void {
    const calls = new Calls((message) => {
      // The worker's answer says all; this one only that main has passed the question on.
      this.main.send('NodeWorker.sendMessageToWorker', { sessionId, message }).catch(() => {})
    })
    this.workers.set(sessionId, calls)
    const { title, url } = workerInfo
    this.sessions.push({ title, url, send: (method, params) => calls.send(method, params) })
  }

  close(): void {
    this.socket.terminate()
  }
}

interface Attached {
  readonly sessionId: string
  readonly workerInfo: { readonly title: string; readonly url: string }
}

/** Runs an expression in the thread and gives its value, which JSON can hold. `require` is there. */
export async function evaluate<T>(session: Session, expression: string): Promise<T> {
  const { result, exceptionDetails } = await session.send<{
    result: { value: T }
    exceptionDetails?: { text: string }
  }>('Runtime.evaluate', { expression, returnByValue: true, includeCommandLineAPI: true })
  if (exceptionDetails !== undefined) throw new Error(`${expression}: ${exceptionDetails.text}`)
  return result.value
}
