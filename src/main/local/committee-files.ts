/** Makes a committee on this machine: keys, committee file and parameter file, as a user would make them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Committee, parseCommittee } from '../../shared/config/committee.js'
import { formatCommittee, localCommittee, portsOfAuthority } from '../../shared/config/committee-file.js'
import { generateKeys, writeKeys } from '../../shared/config/keys.js'
import { defaultParameters, formatParameters, type Parameters } from '../../shared/config/parameters.js'
import { markFresh } from '../authority/mark-fresh.js'
import { LOCAL_RETENTION_ROUNDS } from './limits.js'
import { type LocalOptions, processesOf, type WorkerName } from './options.js'
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
  transactions(name: WorkerName): LocalAddress
  /** Of a process of an authority: the first one is the authority's, or its primary's; the others are its workers'. */
  metrics(authority: number, process: number): LocalAddress
}

/** Writes the files into the workspace; the ports in them were free a moment ago. */
export async function makeCommittee(options: LocalOptions, workspace: Workspace): Promise<LocalCommittee> {
  const names: string[] = []
  for (let authority = 0; authority < options.nodes; authority++) {
    const keys = generateKeys()
    writeKeys(workspace.keysFile(authority), keys)
    // Nobody has ever used these keys: the authority may sign at once.
    markFresh(workspace.store(authority), keys)
    names.push(keys.name)
  }
  const committeePorts = options.nodes * portsOfAuthority(options.workers)
  const processes = processesOf(options)
  const portFirst = await freePorts(committeePorts + options.nodes * processes)
  writeFileSync(workspace.committeeFile, formatCommittee(localCommittee(names, options.workers, portFirst)))
  const committee = parseCommittee(JSON.parse(readFileSync(workspace.committeeFile, 'utf8')), workspace.committeeFile)

  // The least retention there is: stores stay small however long a run takes, and the pages of the files that are written
  // again are still in memory.
  const parameters = { ...defaultParameters(), ackLevel: options.ackLevel, retentionRounds: LOCAL_RETENTION_ROUNDS }
  writeFileSync(workspace.parametersFile, formatParameters(parameters))

  const indexOf = indexLookup(committee, names)
  return {
    names,
    parameters,
    transactions: (name) => local(committee.worker(indexOf(name.authority), name.worker).transactions.port),
    metrics: (authority, process) => local(portFirst + committeePorts + authority * processes + process),
  }
}

function local(port: number): LocalAddress {
  return { host: '127.0.0.1', port }
}

/** A committee in memory is ordered by raw keys, our files by number. */
function indexLookup(committee: Committee, names: readonly string[]): (authority: number) => number {
  const byName = new Map(committee.authorities.map(({ name }, index) => [name, index]))
  return (authority) => byName.get(names[authority]!)!
}
