import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Starts a helper thread of this directory; the caller ends it or waits for its answer. */
export function startHelper(file: string, workerData: object): Worker {
  return new Worker(new URL(file, import.meta.url), { workerData })
}

/** The one message that a helper thread says at its end; rejects with what killed it. */
export async function answerOf<T>(worker: Worker): Promise<T> {
  const failed = new Promise<never>((_, reject) => {
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code} and said nothing`)))
  })
  // Somebody else may be the first to tell.
  failed.catch(() => {})
  const [answer] = (await Promise.race([once(worker, 'message'), failed])) as [T]
  return answer
}
