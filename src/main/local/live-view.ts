/** The live table: scrapes the nodes and draws, in place on a terminal, as a block every few seconds elsewhere. */

import { type NodeStats, nodeStats, type Scrape } from './node-stats.js'
import type { Nodes } from './nodes.js'
import { drawTable, redraw } from './table.js'

const TERMINAL_PERIOD_MS = 1000
const FILE_PERIOD_MS = 5000

export interface LiveViewOptions {
  readonly nodes: Nodes
  /** Names of the authorities, base64, by number: peers are shown by number. */
  readonly authorities: readonly string[]
  readonly workers: number
  readonly stream: NodeJS.WriteStream
}

export class LiveView {
  private readonly options: LiveViewOptions
  private before: readonly (Scrape | undefined)[] = []
  private linesDrawn = 0
  private timer: NodeJS.Timeout | undefined
  private isStopped = false

  constructor(options: LiveViewOptions) {
    this.options = options
  }

  start(): void {
    const periodMs = this.options.stream.isTTY ? TERMINAL_PERIOD_MS : FILE_PERIOD_MS
    const step = async (): Promise<void> => {
      const now = await this.options.nodes.scrape()
      if (this.isStopped) return
      this.draw(now)
      this.timer = setTimeout(step, periodMs)
    }
    void step()
  }

  private draw(now: readonly (Scrape | undefined)[]): void {
    const { nodes, authorities, workers, stream } = this.options
    const rows = nodes.names.map(({ authority, worker }, index) => ({
      name: workers === 1 ? String(authority) : `${authority}-${worker}`,
      stats: withPeerNumbers(now[index] && nodeStats(this.before[index], now[index]), authorities),
    }))
    this.before = now
    const lines = drawTable(rows)
    if (stream.isTTY) {
      stream.write(redraw(this.linesDrawn, lines, stream.columns))
      this.linesDrawn = lines.length
    } else {
      stream.write(`${lines.join('\n')}\n\n`)
    }
  }

  /** The table stays where it stands. */
  stop(): void {
    this.isStopped = true
    clearTimeout(this.timer)
  }
}

function withPeerNumbers(stats: NodeStats | undefined, authorities: readonly string[]): NodeStats | undefined {
  if (stats === undefined) return undefined
  const named = [...stats.ackMsByPeer].map(([peer, ms]): [string, number] => [peerNumber(peer, authorities), ms])
  named.sort(([a], [b]) => (a < b ? -1 : 1))
  return { ...stats, ackMsByPeer: new Map(named) }
}

/** A node names a peer by its key or the start of it; we know it by its number. */
export function peerNumber(peer: string, authorities: readonly string[]): string {
  const index = authorities.findIndex((name) => name.startsWith(peer))
  return index === -1 ? peer.slice(0, 8) : String(index)
}
