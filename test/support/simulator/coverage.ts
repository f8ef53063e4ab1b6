/**
 * What has happened in simulated runs, by name and number. A fault that a seed could bring and that never came proves
 * nothing, so whoever runs many seeds asks what is missing (`neverHappened`).
 */
import type { Write } from '../../../src/threads/primary/store/writes.js'
import type { Turn } from '../../../src/threads/primary/turn.js'
import { BYZANTINE } from './schedule.js'

export type Happened = Readonly<Record<string, number>>

/** Writes during whose flush a crash falls in any few hundred runs. Others are too rare to be asked for. */
const WRITES: readonly Write['type'][] = [
  'own-header',
  'vote',
  'certificate',
  'payload',
  'payload-done',
  'own-batch',
  'own-batch-done',
  'commits',
  'collected',
]

/** Each must have happened in any 200 runs whose rule and committee the seed chooses. */
export const DIMENSIONS: readonly string[] = [
  'rule shoal',
  'rule tusk',
  'rule bullshark',
  'stakes equal',
  'stakes unequal',
  'committee of one',
  'committee that bears two faults',
  'delay: an authority is far',
  'delay: no two links alike',
  'message dropped',
  'message duplicated',
  'message overtaken by a later one',
  'partition shorter than 100 ms',
  'partition from 100 ms to 1 s',
  'partition of 1 s or more',
  'partition that leaves nobody a quorum',
  ...WRITES.map((type) => `crash before the flush of ${type}`),
  ...WRITES.map((type) => `crash after the flush of ${type}`),
  'crash between two messages',
  'crash of all at once',
  'crash of one that was starting',
  'restart',
  'store lost',
  'store replaced by a backup',
  'store recovered',
  'store of a worker lost',
  'authority dead from the beginning',
  'authority dead from some time on',
  ...BYZANTINE.map((kind) => `liar that ${kind}`),
  'two liars at once',
  'liar and a dead one at once',
  'second header seen (evidence)',
  'header given up',
  'batch proposed again',
  'certificates fetched by range',
  'batch fetched by its worker',
  'batch adopted',
  'checkpoint signed',
  'checkpoint attested',
  'another checkpoint seen (evidence)',
  'log taken from others',
]

/** Runs that are fewer say nothing about what is missing. */
export const COVERING_RUNS_MIN = 200

export class Coverage {
  readonly happened: Record<string, number> = {}

  count(what: string, times = 1): void {
    if (times > 0) this.happened[what] = (this.happened[what] ?? 0) + times
  }

  crashed(when: 'before' | 'after', writes: readonly Write[]): void {
    for (const type of new Set(writes.map(({ type }) => type))) this.count(`crash ${when} the flush of ${type}`)
  }

  turn({ notices, refusals, workerRequests, writes }: Turn): void {
    for (const { reason } of refusals) this.count(`refused: ${reason}`)
    for (const { type } of notices) this.count(NOTICES[type] ?? `notice: ${type}`)
    this.count('second header seen (evidence)', writes.filter(({ type }) => type === 'evidence').length)
    this.count(
      'batch adopted',
      writes.reduce((sum, write) => sum + adoptedIn(write), 0),
    )
    this.count('checkpoint signed', writes.filter(({ type }) => type === 'checkpoint-signed').length)
    this.count('checkpoint attested', writes.filter(({ type }) => type === 'checkpoint-attested').length)
    this.count('batch fetched by its worker', workerRequests.filter(({ type }) => type === 'synchronize').length)
  }
}

/** Batches that others than their authors have brought into the order. */
function adoptedIn(write: Write): number {
  if (write.type !== 'commits') return 0
  return write.records.reduce((sum, { commit: { batches, vertices } }) => {
    const adopted = new Set(batches)
    for (const { author, certificate } of vertices) {
      for (const entry of certificate.header.payload) if (entry.author === author) adopted.delete(entry)
    }
    return sum + adopted.size
  }, 0)
}

/** Notices that stand for a dimension. */
const NOTICES: Readonly<Record<string, string>> = {
  'header-given-up': 'header given up',
  'proposed-again': 'batch proposed again',
  recovered: 'store recovered',
  'checkpoint-differs': 'another checkpoint seen (evidence)',
}

export function sumOf(all: readonly Happened[]): Happened {
  const sum = new Coverage()
  for (const happened of all) for (const [what, times] of Object.entries(happened)) sum.count(what, times)
  return sum.happened
}

export function neverHappened(happened: Happened): string[] {
  return DIMENSIONS.filter((what) => (happened[what] ?? 0) === 0)
}
