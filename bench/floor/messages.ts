/** What the parent and its processes say to each other over IPC: one answer to each request, in order. */

export type Request =
  /** Open what is needed, and say where. */
  | { readonly type: 'open' }
  /** Connect to all others; the addresses are what they answered to `open`, the own one included. */
  | { readonly type: 'connect'; readonly index: number; readonly peers: readonly string[]; readonly client: string }
  /** Begin to send; the answer comes at once from a node, and from a client when it has sent everything. */
  | { readonly type: 'load' }
  /** Begin no new batch. */
  | { readonly type: 'stop' }
  | { readonly type: 'usage' }
  | { readonly type: 'progress' }

export interface Sent {
  /** Whole milliseconds, by the wall clock. */
  readonly startMs: number
  readonly stopMs: number
  /** Bytes that the kernel took, lengths of transactions included. */
  readonly bytes: number
}

export interface Usage {
  /** Since the start of the process, all threads. */
  readonly userS: number
  readonly systemS: number
  readonly rssBytesMax: number
}

export interface Progress {
  /** Bytes of own batches that a quorum holds, lengths of transactions included. */
  readonly certifiedBytes: number
  readonly certifiedBatches: number
  readonly lastCertifiedMs: number
  /** Of each certified batch, from its first byte's arrival at its author to the last ACK that a quorum needed. */
  readonly latenciesMs: readonly number[]
  /** Bytes of own batches that were begun: what a node without a client has sent. */
  readonly begunBytes: number
}

export type Handlers = { readonly [type in Request['type']]?: (request: Extract<Request, { type: type }>) => unknown }

/** Answers the parent's requests; ends the process when the parent is gone, however it went. */
export function serve(handlers: Handlers): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', async (request: Request) => {
    const handler = handlers[request.type] as ((request: Request) => unknown) | undefined
    process.send!((await handler?.(request)) ?? null)
  })
}

export function usage(): Usage {
  const { user, system } = process.cpuUsage()
  // Node gives kilobytes on every system.
  return { userS: user / 1e6, systemS: system / 1e6, rssBytesMax: process.resourceUsage().maxRSS * 1024 }
}
