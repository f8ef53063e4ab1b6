/** Makes a committee on this machine: keys, committee file and parameter file, as a user would make them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Committee, parseCommittee } from '../../shared/config/committee.js'
import { formatCommittee, localCommittee } from '../../shared/config/committee-file.js'
import { generateKeys, writeKeys } from '../../shared/config/keys.js'
import { defaultParameters, formatParameters, type Parameters } from '../../shared/config/parameters.js'
import { LOCAL_GC_DEPTH_ROUNDS, LOCAL_RETENTION_ROUNDS } from './limits.js'
import type { LocalOptions, WorkerName } from './options.js'
import { freePorts } from './ports.js'
import type { Workspace } from './workspace.js'

/** A listener of the committee on this machine, or a node's own for its metrics. */
export interface LocalAddress {
  readonly host: '127.0.0.1'
  readonly port: number
}

export interface LocalCommittee {
  /** Names of the authorities (base64), in the order of their key files. */
  readonly names: readonly string[]
  readonly parameters: Parameters
  workerToPrimary(authority: number): LocalAddress
  primaryToWorker(name: WorkerName): LocalAddress
  transactions(name: WorkerName): LocalAddress
  metrics(name: WorkerName): LocalAddress
}

/** Writes the files into the workspace; the ports in them were free a moment ago. */
export async function makeCommittee(options: LocalOptions, workspace: Workspace): Promise<LocalCommittee> {
  const names: string[] = []
  for (let authority = 0; authority < options.nodes; authority++) {
    const keys = generateKeys()
    writeKeys(workspace.keysFile(authority), keys)
    names.push(keys.name)
  }
  const committeePorts = options.nodes * (2 + 3 * options.workers)
  const portFirst = await freePorts(committeePorts + options.nodes * options.workers)
  writeFileSync(workspace.committeeFile, formatCommittee(localCommittee(names, options.workers, portFirst)))
  const committee = parseCommittee(JSON.parse(readFileSync(workspace.committeeFile, 'utf8')), workspace.committeeFile)

  const defaults = defaultParameters()
  // Twice gc_depth, the least there is: stores stay small however long a run takes, and the pages of the file that are
  // written again are still in memory.
  const parameters = {
    ...defaults,
    ackLevel: options.ackLevel,
    gcDepthRounds: LOCAL_GC_DEPTH_ROUNDS,
    retentionRounds: LOCAL_RETENTION_ROUNDS,
  }
  writeFileSync(workspace.parametersFile, formatParameters(parameters))

  const authorityOf = authorityLookup(committee, names)
  return {
    names,
    parameters,
    workerToPrimary: (authority) => local(authorityOf(authority).primary.workerToPrimary.port),
    primaryToWorker: (name) => local(authorityOf(name.authority).workers.get(name.worker)!.primaryToWorker.port),
    transactions: (name) => local(authorityOf(name.authority).workers.get(name.worker)!.transactions.port),
    metrics: (name) => local(portFirst + committeePorts + name.authority * options.workers + name.worker),
  }
}

function local(port: number): LocalAddress {
  return { host: '127.0.0.1', port }
}

/** A committee in memory is ordered by raw keys, our files by number. */
function authorityLookup(committee: Committee, names: readonly string[]) {
  const byName = new Map(committee.authorities.map((authority) => [authority.name, authority]))
  return (authority: number) => byName.get(names[authority]!)!
}
