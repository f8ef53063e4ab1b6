/** The live view: takes what happened since it looked last, and draws; in place on a terminal, as a block elsewhere. */
import { quorumOf } from '../../shared/config/quorum.js'
import type { Agreement } from './agreement.js'
import { joinStages, type Ledger, type StageLatencies } from './ledger.js'
import { LOCAL_LOOK_DEADLINE_MS, LOCAL_STALL_LOOK_MS } from './limits.js'
import { type NodeStats, nodeStats, type Scrape } from './node-stats.js'
import type { Nodes } from './nodes.js'
import type { LocalOptions } from './options.js'
import { History } from './sparkline.js'
import { paint, redraw, wantsColours } from './styled-text.js'
import { type Canvas, drawView, SPARKLINE_FIGURES_MAX, stallText, type ViewRow, type ViewState } from './view.js'

const TERMINAL_PERIOD_MS = 1000
const FILE_PERIOD_MS = 5000
/** Between two looks, however long one takes. */
const PAUSE_MS_MIN = 200
/** Of a terminal that does not say how large it is. */
const COLUMNS = 80
const ROWS = 24

export interface LiveViewOptions {
  readonly options: LocalOptions
  readonly nodes: Pick<Nodes, 'scrape'>
  readonly ledger: Ledger
  readonly agreement: Agreement
  /** Names of the authorities, base64, by number: peers are shown by number. */
  readonly authorities: readonly string[]
  readonly stream: NodeJS.WriteStream
}

/** What was counted of an authority up to a look. */
interface Counted {
  readonly commit: number
  readonly certifiedBytes: number
  readonly readBytes: number
}

/** What was counted up to a look. */
interface Look {
  readonly timeMs: number
  readonly commonBytes: number
  readonly scrapes: readonly (Scrape | undefined)[]
  readonly counted: readonly Counted[]
}

export class LiveView {
  private readonly options: LiveViewOptions
  private readonly throughput = new History(SPARKLINE_FIGURES_MAX)
  private readonly p99Ms = new History(SPARKLINE_FIGURES_MAX)
  private readonly hasColours: boolean
  private startMs = 0
  private before: Look | undefined
  private linesDrawn = 0
  /** The last commits that were read, and what kept them from going on, when it was looked last. */
  private commitsSeen: string | undefined
  private stall: string | undefined
  private timer: NodeJS.Timeout | undefined
  private isStopped = false
  private readonly onResize = (): void => {
    // Lines that were drawn may be wrapped now: the next block is drawn below them.
    this.linesDrawn = 0
  }

  constructor(options: LiveViewOptions) {
    this.options = options
    this.hasColours = wantsColours(process.env, options.stream.isTTY === true)
  }

  start(): void {
    const { stream } = this.options
    stream.on('resize', this.onResize)
    this.startMs = performance.now()
    const periodMs = stream.isTTY ? TERMINAL_PERIOD_MS : LOCAL_STALL_LOOK_MS
    const step = async (): Promise<void> => {
      const beganMs = performance.now()
      if (this.isToBeLookedAt()) {
        const scrapes = await this.options.nodes.scrape(LOCAL_LOOK_DEADLINE_MS)
        if (this.isStopped) return
        this.takeLook(scrapes)
      }
      this.timer = setTimeout(step, Math.max(PAUSE_MS_MIN, periodMs - (performance.now() - beganMs)))
    }
    void step()
  }

  /** On a terminal always; elsewhere when the next block is due, or when nothing new has been read since the last look. */
  private isToBeLookedAt(): boolean {
    const { agreement, ledger, stream } = this.options
    const commits = ledger.accounts.map((_, authority) => agreement.lastOf(authority)).join()
    const isStill = commits === this.commitsSeen
    this.commitsSeen = commits
    return stream.isTTY === true || this.isDue || isStill || this.stall !== undefined
  }

  private get isDue(): boolean {
    return this.before === undefined || performance.now() - this.before.timeMs >= FILE_PERIOD_MS
  }

  private takeLook(scrapes: readonly (Scrape | undefined)[]): void {
    const stats = scrapes.map((scraped) => scraped && nodeStats(undefined, scraped))
    const stall = stallText(stats.map((found) => withPeerNumbers(found, this.options.authorities)))
    const isNews = stall !== this.stall
    this.stall = stall
    if (this.options.stream.isTTY || this.isDue || isNews) this.draw(this.look(scrapes))
  }

  /** The view stays where it stands. */
  stop(): void {
    this.isStopped = true
    this.options.stream.off('resize', this.onResize)
    clearTimeout(this.timer)
  }

  /** Draws once more, below what was written since the view stopped. */
  async drawLast(): Promise<void> {
    const scrapes = await this.options.nodes.scrape()
    this.linesDrawn = 0
    this.draw(this.look(scrapes))
  }

  private look(scrapes: readonly (Scrape | undefined)[]): Look {
    const { agreement, ledger } = this.options
    return {
      timeMs: performance.now(),
      commonBytes: agreement.commonBytes,
      scrapes,
      counted: ledger.accounts.map(({ certifiedBytes }, authority) => ({
        commit: agreement.lastOf(authority),
        certifiedBytes,
        readBytes: agreement.bytesOf(authority),
      })),
    }
  }

  private draw(now: Look): void {
    const { stream } = this.options
    const canvas: Canvas = stream.isTTY
      ? { columns: stream.columns || COLUMNS, rows: stream.rows || ROWS }
      : { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY }
    const lines = drawView(this.state(now), canvas).map((line) => paint(line, this.hasColours))
    this.before = now
    if (stream.isTTY) {
      stream.write(redraw(this.linesDrawn, lines))
      this.linesDrawn = lines.length
    } else {
      stream.write(`${lines.join('\n')}\n\n`)
    }
  }

  private state(now: Look): ViewState {
    const { agreement, ledger, options } = this.options
    const { faults, nodes, rate, rule, transactionBytes } = options
    const windows = ledger.accounts.map((_, authority) => ledger.takeWindow(authority))
    const latencies = joinStages(windows)
    if (this.before !== undefined) {
      this.throughput.push(this.perS(now, (look) => look.commonBytes) / transactionBytes)
      this.p99Ms.push(latencies.endToEnd.percentileMs(0.99) ?? undefined)
    }
    return {
      head: { authorities: nodes, faults, quorum: quorumOf(nodes), rule, rate, transactionBytes },
      elapsedS: (now.timeMs - this.startMs) / 1000,
      rows: windows.map((window, authority) => this.row(now, authority, window)),
      latencies,
      logs: agreement,
      throughput: this.throughput.figures,
      p99Ms: this.p99Ms.figures,
    }
  }

  private row(now: Look, authority: number, latencies: StageLatencies): ViewRow {
    const { transactionBytes } = this.options.options
    const rate = (pick: (counted: Counted) => number): number =>
      this.perS(now, ({ counted }) => pick(counted[authority]!))
    const scraped = now.scrapes[authority]
    return {
      name: String(authority),
      stats: withPeerNumbers(scraped && nodeStats(this.before?.scrapes[authority], scraped), this.options.authorities),
      commit: now.counted[authority]!.commit,
      commitsPerS: rate(({ commit }) => commit),
      certifiedPerS: rate(({ certifiedBytes }) => certifiedBytes) / transactionBytes,
      orderedPerS: rate(({ readBytes }) => readBytes) / transactionBytes,
      latencies,
    }
  }

  /** 0 at the first look. */
  private perS(now: Look, pick: (look: Look) => number): number {
    const { before } = this
    return before === undefined ? 0 : ((pick(now) - pick(before)) * 1000) / (now.timeMs - before.timeMs)
  }
}

function withPeerNumbers(stats: NodeStats | undefined, authorities: readonly string[]): NodeStats | undefined {
  if (stats === undefined) return undefined
  const named = [...stats.ackMsByPeer].map(([peer, ms]): [string, number] => [peerNumber(peer, authorities), ms])
  named.sort(([a], [b]) => (a < b ? -1 : 1))
  const missing =
    stats.missing && [...stats.missing].map(([peer, stake]) => [peerNumber(peer, authorities), stake] as const)
  return { ...stats, ackMsByPeer: new Map(named), missing: missing && new Map(missing) }
}

/** A node names a peer by its key or the start of it; we know it by its number. */
export function peerNumber(peer: string, authorities: readonly string[]): string {
  const index = authorities.findIndex((name) => name.startsWith(peer))
  return index === -1 ? peer.slice(0, 8) : String(index)
}
