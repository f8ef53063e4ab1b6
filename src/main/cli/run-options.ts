import type { Rule } from '../authority/rules.js'
import type { LogLevel } from '../lib/log.js'
import type { PrimaryKind } from '../worker/primary-kinds.js'

/** What `run` is asked to do: flags as they were given, files not yet read. */
export interface RunOptions {
  /** Path of the authority's key file. */
  readonly keys: string
  /** Path of the committee file. */
  readonly committee: string
  /** Directory of the store. */
  readonly store: string
  /** Path of the parameter file; without it all parameters have their defaults. */
  readonly parameters?: string
  /** Before `ack_level` of the parameter file. */
  readonly ackLevel?: 'stored' | 'durable'
  /** Logs the lines that benchmark scripts read. */
  readonly benchmark: boolean
  /** Where metrics and health are served; without it they are not. */
  readonly metrics?: { readonly host: string; readonly port: number }
  /** Where the gateway answers applications; without it, it does not run. Of an authority. */
  readonly api?: { readonly host: string; readonly port: number }
  /** A file with the token that requests to it carry. */
  readonly apiToken?: string
  /** Origins of pages that may call it. */
  readonly apiOrigin?: readonly string[]
  /** The address that listeners bind instead of every one. */
  readonly bind?: string
  /** Looks for peers' addresses by mDNS too. */
  readonly mdns: boolean
  /** Looks for peers' addresses in a distributed hash table too, and publishes its own. */
  readonly kad: boolean
  /** Multiaddrs of bootstrap nodes. */
  readonly bootstrap?: readonly string[]
  readonly logLevel: LogLevel
  /** What is run. */
  readonly part: WorkerPart | PrimaryPart | AuthorityPart
}

export interface WorkerPart {
  readonly kind: 'worker'
  readonly id: number
  /** What is at the committee's `worker_to_primary`. */
  readonly primary: PrimaryKind
}

/** A primary whose workers are other processes. */
export interface PrimaryPart {
  readonly kind: 'primary'
  readonly rule: Rule
  /** Its store may be older than what its key has signed. */
  readonly recovered: boolean
  /** Reads every byte of every commit in this process, and logs what was read. */
  readonly consume: boolean
}

export interface AuthorityPart {
  readonly kind: 'authority'
  readonly rule: Rule
  /** The primary's store may be older than what its key has signed. */
  readonly recovered: boolean
  /** Reads every byte of every commit in this process, and logs what was read. */
  readonly consume: boolean
}
