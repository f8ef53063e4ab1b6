/** Where the stores of an authority lie, in the directory that it is given. */
import { join } from 'node:path'

export function primaryDirectory(store: string): string {
  return join(store, 'primary')
}

export function workerDirectory(store: string, workerId: number): string {
  return join(store, `worker-${workerId}`)
}
