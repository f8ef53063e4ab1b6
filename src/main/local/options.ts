import { quorumOf } from '../../shared/config/quorum.js'
import type { Rule } from '../authority/rules.js'

/** What `local` is asked to do. */
export interface LocalOptions {
  /** Authorities of the committee. */
  readonly nodes: number
  /** Workers of each authority; each has a client beside it. */
  readonly workers: number
  /** Transactions a second, over all clients. */
  readonly rate: number
  /** Bytes of a transaction. */
  readonly transactionBytes: number
  /** Seconds of load before anything is measured, while V8 optimizes what it runs. */
  readonly warmupS: number
  /** Seconds of load that are measured; 0 until Ctrl-C. */
  readonly durationS: number
  /** Authorities that are left out, the last ones: they are in the committee and never started. */
  readonly faults: number
  /** Clients write each transaction by itself. */
  readonly unbuffered: boolean
  readonly ackLevel: 'stored' | 'durable'
  /** Each authority is a primary's process and one for each worker, and not one process. */
  readonly split: boolean
  /** How certificates are put in order. */
  readonly rule: Rule
  /** Where the gateway of authority 0 answers; those of the others have the ports behind it. Without it there are none. */
  readonly api: { readonly host: string; readonly port: number } | undefined
  /** Ends standard output with the result in one line of JSON; everything else goes to standard error. */
  readonly json: boolean
  /** Where files are made; without it a fresh directory under `.narval`. */
  readonly directory: string | undefined
  /** Leaves keys, committee, parameters, stores and logs where they are. */
  readonly keep: boolean
}

/** Processes of each authority. */
export function processesOf({ split, workers }: Pick<LocalOptions, 'split' | 'workers'>): number {
  return split ? 1 + workers : 1
}

/** Names a worker as the reference's log files do: authority, then worker, both counted from 0. */
export interface WorkerName {
  readonly authority: number
  readonly worker: number
}

/** How many authorities are started: the first ones. */
export function startedAuthorities({ faults, nodes }: Pick<LocalOptions, 'nodes' | 'faults'>): number {
  return nodes - faults
}

/** Workers that are started, in the order of the reference's logs. */
export function startedWorkers(options: Pick<LocalOptions, 'nodes' | 'workers' | 'faults'>): WorkerName[] {
  const names: WorkerName[] = []
  for (let authority = 0; authority < startedAuthorities(options); authority++) {
    for (let worker = 0; worker < options.workers; worker++) names.push({ authority, worker })
  }
  return names
}

/** Whether what is started is a quorum, each authority having a stake of one: `2·total/3 + 1`. */
export function canCertify(options: Pick<LocalOptions, 'nodes' | 'faults'>): boolean {
  return startedAuthorities(options) >= quorumOf(options.nodes)
}

/** The rate of one client: the total, shared over all workers of the committee, those left out included (reference). */
export function clientRate(options: Pick<LocalOptions, 'nodes' | 'workers' | 'rate'>): number {
  return Math.ceil(options.rate / (options.nodes * options.workers))
}
