/**
 * What a worker has sealed and certified since a load began, as its metrics say. They count the transactions of all of its
 * clients: with a client beside this one, they say no more than that so many were certified.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { formatTcpAddress, type TcpAddress } from '../../../shared/config/address.js'
import { NarvalError } from '../../../shared/errors.js'
import { sumOf } from '../metrics-text.js'
import { scrape } from '../scrape.js'
import { CLIENT_CERTIFIED_MS, CLIENT_CERTIFIED_POLL_MS } from './limits.js'

interface Counts {
  readonly sealed: number
  readonly certified: number
}

export class WorkerTally {
  private readonly address: TcpAddress
  private readonly before: Counts
  private last: Counts

  private constructor(address: TcpAddress, before: Counts) {
    this.address = address
    this.before = before
    this.last = before
  }

  /** @throws NarvalError ERR_UNREACHABLE */
  static async begin(address: TcpAddress): Promise<WorkerTally> {
    const before = await countsOf(address)
    if (before !== undefined) return new WorkerTally(address, before)
    throw new NarvalError(
      'ERR_UNREACHABLE',
      `no worker serves its metrics on ${formatTcpAddress(address)}: start it with --metrics, or check the address`,
    )
  }

  /** Whether so many transactions were certified since the beginning; waits for it a while. */
  async reaches(count: number): Promise<boolean> {
    const deadlineMs = performance.now() + CLIENT_CERTIFIED_MS
    while (((await this.look())?.certified ?? -1) < count) {
      if (performance.now() > deadlineMs) return false
      await sleep(CLIENT_CERTIFIED_POLL_MS)
    }
    return true
  }

  /** One line. */
  async now(): Promise<string> {
    const isCurrent = (await this.look()) !== undefined
    const { certified, sealed } = this.last
    const counts = `sealed ${sealed - this.before.sealed} transactions of all of its clients, and certified ${certified - this.before.certified}`
    return isCurrent
      ? `Since the load began, the worker has ${counts}`
      : `The worker answers no more; when it did last, it had ${counts}`
  }

  /** What was counted since the beginning; undefined if the worker does not answer. */
  private async look(): Promise<Counts | undefined> {
    const counts = await countsOf(this.address)
    if (counts === undefined) return undefined
    this.last = counts
    return { sealed: counts.sealed - this.before.sealed, certified: counts.certified - this.before.certified }
  }
}

async function countsOf(address: TcpAddress): Promise<Counts | undefined> {
  const metrics = (await scrape(address))?.metrics
  if (metrics === undefined) return undefined
  return {
    sealed: sumOf(metrics, 'narval_transactions_sealed_total'),
    certified: sumOf(metrics, 'narval_transactions_certified_total'),
  }
}
