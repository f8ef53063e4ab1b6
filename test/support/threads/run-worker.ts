import { Worker } from 'node:worker_threads'

/** Starts a thread of this directory; the caller ends it or waits for its answer. */
export function startThread(file: string, workerData: object): Worker {
  return new Worker(new URL(file, import.meta.url), { workerData })
}

/** The one message that such a thread says at its end; rejects with what killed it. */
export function answerOf<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    // The last message and the end may come in one turn: the message comes first.
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code} and said nothing`)))
  })
}
