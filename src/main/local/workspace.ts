/**
 * The directory that a run of `local` owns: keys, committee, parameters, stores and logs, with the reference's names.
 *
 * A directory is ours if it has our owner file, and in use if somebody holds the lock on it. The kernel lets go of the
 * lock when a process dies, however it dies, so that what a killed run left behind is cleared by the next one. Nothing
 * is ever deleted but the names that we make, in a directory that is ours.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { NarvalError } from '../../shared/errors.js'
import { makeDirectories } from './make-directories.js'
import type { WorkerName } from './options.js'

const PARENT = '.narval'
const PREFIX = 'local-'
const OWNER_FILE = '.narval-local'
/** Everything that a run makes, or made in an earlier version, directly in its directory. */
const OURS = /^(?:\.narval-local|\.node-\d+\.json|\.committee\.json|\.parameters\.json|\.db-\d+(?:-\d+)?|logs)$/

export class Workspace {
  readonly directory: string
  private readonly lockFd: number
  private readonly isRemovable: boolean
  private removed = false

  private constructor(directory: string, lockFd: number, isRemovable: boolean) {
    this.directory = directory
    this.lockFd = lockFd
    this.isRemovable = isRemovable
    mkdirSync(join(directory, 'logs'))
  }

  /**
   * Takes a directory: the one named, if it is new, empty or left by an earlier run; else a fresh one under `.narval` in
   * the working directory, after clearing what killed runs left there.
   *
   * @throws NarvalError ERR_DIRECTORY_FOREIGN, ERR_FILE_UNWRITABLE
   */
  static open(named: string | undefined): Workspace {
    try {
      return named === undefined ? Workspace.fresh() : Workspace.named(resolve(named))
    } catch (error) {
      if (error instanceof NarvalError) throw error
      const where = named ?? `${PARENT} in this directory`
      throw new NarvalError(
        'ERR_FILE_UNWRITABLE',
        `cannot make ${where}: ${(error as Error).message}; name another directory with --dir`,
        { cause: error },
      )
    }
  }

  private static fresh(): Workspace {
    const parent = resolve(PARENT)
    makeDirectories(parent)
    clearLeftovers(parent)
    const directory = mkdtempSync(join(parent, PREFIX))
    try {
      return new Workspace(directory, own(directory), true)
    } catch (error) {
      // Without the owner file, no later run would know that it is ours.
      rmSync(directory, { recursive: true, force: true })
      removeIfEmpty(parent)
      throw error
    }
  }

  private static named(directory: string): Workspace {
    const isNew = !existsSync(directory)
    makeDirectories(directory)
    if (existsSync(join(directory, OWNER_FILE))) {
      const fd = takeLock(directory)
      if (fd === undefined) {
        throw new NarvalError(
          'ERR_DIRECTORY_FOREIGN',
          `${directory} is in use by another run: stop it, or name another`,
        )
      }
      clear(directory)
      closeSync(fd)
    } else if (readdirSync(directory).length > 0) {
      throw new NarvalError(
        'ERR_DIRECTORY_FOREIGN',
        `${directory} is not empty and has no ${OWNER_FILE}: name a new or an empty directory`,
      )
    }
    return new Workspace(directory, own(directory), isNew)
  }

  keysFile(authority: number): string {
    return join(this.directory, `.node-${authority}.json`)
  }

  get committeeFile(): string {
    return join(this.directory, '.committee.json')
  }

  get parametersFile(): string {
    return join(this.directory, '.parameters.json')
  }

  /** Of its primary and its workers. */
  store(authority: number): string {
    return join(this.directory, `.db-${authority}`)
  }

  authorityLog(authority: number): string {
    return join(this.directory, 'logs', `authority-${authority}.log`)
  }

  /** Of the primary of an authority that is several processes. */
  primaryLog(authority: number): string {
    return join(this.directory, 'logs', `primary-${authority}.log`)
  }

  workerLog({ authority, worker }: WorkerName): string {
    return join(this.directory, 'logs', `worker-${authority}-${worker}.log`)
  }

  clientLog({ authority, worker }: WorkerName): string {
    return join(this.directory, 'logs', `client-${authority}-${worker}.log`)
  }

  /** Lets go of the directory and, unless it is to be kept, removes it with all that we made in it. */
  close(keep: boolean): void {
    if (this.removed) return
    this.removed = true
    if (!keep) {
      clear(this.directory)
      if (this.isRemovable) removeIfEmpty(this.directory)
      if (basename(dirname(this.directory)) === PARENT) removeIfEmpty(dirname(this.directory))
    }
    closeSync(this.lockFd)
  }
}

/** The owner file appears under its name when it is locked already, so that nobody takes it for a leftover. */
function own(directory: string): number {
  const unfinished = join(directory, `${OWNER_FILE}.new`)
  const fd = openSync(unfinished, 'w')
  tryLock(fd)
  writeSync(fd, `${process.pid}\n`)
  renameSync(unfinished, join(directory, OWNER_FILE))
  return fd
}

function takeLock(directory: string): number | undefined {
  const fd = openSync(join(directory, OWNER_FILE), 'r+')
  if (tryLock(fd)) return fd
  closeSync(fd)
  return undefined
}

function clearLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name)
    if (!name.startsWith(PREFIX) || !existsSync(join(directory, OWNER_FILE))) continue
    const fd = takeLock(directory)
    if (fd === undefined) continue
    clear(directory)
    removeIfEmpty(directory)
    closeSync(fd)
  }
}

/** The owner file goes last: what is left of an interrupted clearing is still known to be ours. */
function clear(directory: string): void {
  const names = readdirSync(directory).filter((name) => OURS.test(name) && name !== OWNER_FILE)
  for (const name of [...names, OWNER_FILE]) {
    rmSync(join(directory, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    // Somebody else's file is in it, or it is gone: either way it is not ours to remove.
  }
}
