/** What our own workers are told to get: one request for each worker and author. */
import type { PayloadEntry } from './consensus/types.js'
import { digestBytes } from './records.js'
import type { WorkerRequest } from './turn.js'

export function synchronizeRequests(batches: Iterable<PayloadEntry>): WorkerRequest[] {
  const groups = new Map<string, PayloadEntry[]>()
  for (const batch of batches) {
    const key = `${batch.worker} ${batch.author}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [batch])
    else group.push(batch)
  }
  return [...groups.values()].map((group) => {
    const { worker, author } = group[0]!
    return { type: 'synchronize', worker, author, digests: group.map(({ digest }) => digestBytes(digest)) }
  })
}
