/**
 * Makes the files of a new committee: a folder for each host, with all that its authority needs and nothing of another's.
 * Keys, and the mark that says that they have never been used, are in the folder of their own host alone.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parseCommittee } from '../../shared/config/committee.js'
import { formatCommittee, placedCommittee } from '../../shared/config/committee-file.js'
import { writeNewFile } from '../../shared/config/config-file.js'
import { generateKeys, type Keys, writeKeys } from '../../shared/config/keys.js'
import { defaultParameters, formatParameters } from '../../shared/config/parameters.js'
import { NarvalError } from '../../shared/errors.js'
import { flushDirectory } from '../../shared/store/flushed-file.js'
import { isFull, systemReason } from '../../shared/store/store-error.js'
import { markFresh } from '../authority/mark-fresh.js'
import { NewDirectory } from '../lib/new-directory.js'
import { composeFile, dockerfile, dockerIgnore } from './container.js'
import type { InitHost } from './hosts.js'
import { committeeReadme, HOSTS_DIRECTORY, hostReadme, metricsPortOf, type NamedHost } from './readme.js'
import { systemdUnit, UNIT_FILE } from './systemd-unit.js'

export interface InitOptions {
  readonly hosts: readonly InitHost[]
  /** Workers of each authority. */
  readonly workers: number
  /** The directory to be made. */
  readonly out: string
  /** Ends it, and leaves nothing. */
  readonly signal: AbortSignal
}

/**
 * Returns the hosts with the keys of their authorities.
 *
 * @throws NarvalError ERR_FILE_EXISTS, ERR_FILE_MISSING, ERR_FILE_UNWRITABLE, ERR_STORE_LOCKED; the reason of the signal
 */
export async function makeCommittee({ hosts, out, signal, workers }: InitOptions): Promise<NamedHost[]> {
  const directory = NewDirectory.open({ to: out, flag: '--out', what: 'committee', failure: initError })
  try {
    const keys = hosts.map(() => generateKeys())
    const named = hosts.map((host, index) => ({ ...host, name: keys[index]!.name }))
    const committee = formatCommittee(placedCommittee(named, workers))
    parseCommittee(JSON.parse(committee), 'the new committee')
    const [root, folders] = [directory.unfinished, join(directory.unfinished, HOSTS_DIRECTORY)]
    mkdirSync(folders)
    for (const [index, host] of named.entries()) {
      // A signal is heard in a turn of the event loop.
      await setImmediate()
      signal.throwIfAborted()
      makeFolder(join(folders, host.folder), { host, keys: keys[index]!, committee, workers })
    }
    flushDirectory(folders)
    writeNewFile(join(root, 'committee.json'), committee)
    writeNewFile(join(root, 'README.md'), committeeReadme(named, workers))
    directory.finish()
    return named
  } catch (error) {
    directory.remove()
    throw signal.aborted ? error : initError(out, error)
  } finally {
    directory.close()
  }
}

interface Folder {
  readonly host: NamedHost
  readonly keys: Keys
  /** The text of the committee file. */
  readonly committee: string
  readonly workers: number
}

function makeFolder(path: string, { committee, host, keys, workers }: Folder): void {
  const metricsPort = metricsPortOf(host, workers)
  mkdirSync(path)
  chmodSync(path, 0o700)
  writeKeys(join(path, 'keys.json'), keys)
  markFresh(join(path, 'db'), keys)
  const texts = {
    'committee.json': committee,
    'parameters.json': formatParameters(defaultParameters()),
    [UNIT_FILE]: systemdUnit(metricsPort),
    Dockerfile: dockerfile(metricsPort),
    '.dockerignore': dockerIgnore(),
    'compose.yaml': composeFile(),
    'README.md': hostReadme(host, workers),
  }
  for (const [name, text] of Object.entries(texts)) writeNewFile(join(path, name), text)
  for (const made of [join(path, 'db'), path]) flushDirectory(made)
}

function initError(directory: string, error: unknown): NarvalError {
  if (error instanceof NarvalError && error.code !== 'ERR_STORE_WRITE') return error
  if (!(error instanceof NarvalError) && !(error instanceof Error && 'syscall' in error)) throw error
  const why = isFull(directory, error)
    ? 'no space left on its device: make room, or give --out a directory on a larger disk'
    : `${systemReason(error)}: give --out a directory that this user can make and write to`
  return new NarvalError('ERR_FILE_UNWRITABLE', `the committee cannot be written, and nothing is left of it: ${why}`, {
    cause: error,
  })
}
