/**
 * A directory that is whole, or not there: it is made beside its place, as `NAME.unfinished`, and gets its own name when all
 * of it is on the disk. What an error, Ctrl-C or kill -9 leaves is never taken for it, and the next one to the same place
 * removes it.
 */
import { existsSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { NarvalError } from '../../shared/errors.js'
import { flushDirectory } from '../../shared/store/flushed-file.js'
import { LOCK_FILE, lockStore } from '../../shared/store/lock.js'

const UNFINISHED = '.unfinished'

export interface NewDirectoryOptions {
  /** Where it is to be: nothing is there, or an empty directory. The directory above it is there. */
  readonly to: string
  /** The flag that names the place, for errors: `--to`. */
  readonly flag: string
  /** What it is, for errors: `backup`. */
  readonly what: string
  /** Throws if it may not be at this place, which is without links. */
  readonly refuse?: (target: string) => void
  /** What an error of the file system is to a user. */
  readonly failure: (directory: string, error: unknown) => NarvalError
}

export class NewDirectory {
  /** Where it is made. */
  readonly unfinished: string
  /** Where it is to be, without links. */
  private readonly target: string
  private readonly options: NewDirectoryOptions
  private readonly lock: { release(): void }

  /** @throws NarvalError ERR_FILE_EXISTS, ERR_FILE_MISSING, ERR_STORE_LOCKED, `failure`, and what `refuse` throws */
  static open(options: NewDirectoryOptions): NewDirectory {
    return new NewDirectory(options, placeOf(options))
  }

  private constructor(options: NewDirectoryOptions, target: string) {
    this.options = options
    this.target = target
    this.unfinished = `${target}${UNFINISHED}`
    this.lock = this.lockUnfinished()
    this.empty()
  }

  /**
   * Gives it its name. @param whole what becomes the directory, if it is not all that was made
   *
   * @throws NarvalError ERR_FILE_EXISTS, or `failure`
   */
  finish(whole: string = this.unfinished): void {
    const { failure, to } = this.options
    try {
      rmSync(join(this.unfinished, LOCK_FILE), { force: true })
      flushDirectory(this.unfinished)
      renameSync(whole, this.target)
      if (whole !== this.unfinished) rmSync(this.unfinished, { recursive: true, force: true })
      flushDirectory(dirname(this.target))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') throw exists(this.options, to)
      throw failure(dirname(this.target), error)
    }
  }

  /** Removes what was made so far. */
  remove(): void {
    try {
      rmSync(this.unfinished, { recursive: true, force: true })
    } catch {
      // It has another name than the whole, and the next one removes it.
    }
  }

  /** Lets go of the place. */
  close(): void {
    this.lock.release()
  }

  /** Another one to the same place may be under way. */
  private lockUnfinished(): { release(): void } {
    const { failure, what } = this.options
    try {
      return lockStore(this.unfinished)
    } catch (error) {
      if (!(error instanceof NarvalError) || error.code !== 'ERR_STORE_LOCKED') throw failure(this.unfinished, error)
      throw new NarvalError('ERR_STORE_LOCKED', `another ${what} to the same place is being made: ${this.unfinished}`)
    }
  }

  /** What one that was killed has left. */
  private empty(): void {
    try {
      for (const name of readdirSync(this.unfinished)) {
        if (name !== LOCK_FILE) rmSync(join(this.unfinished, name), { recursive: true, force: true })
      }
    } catch (error) {
      this.close()
      throw this.options.failure(this.unfinished, error)
    }
  }
}

function placeOf(options: NewDirectoryOptions): string {
  const { to } = options
  const parent = realPath(dirname(resolve(to)))
  if (parent === undefined) {
    throw new NarvalError('ERR_FILE_MISSING', `the directory of ${to} does not exist: make it first`)
  }
  const target = join(parent, basename(resolve(to)))
  options.refuse?.(target)
  if (existsSync(target) && !isEmptyDirectory(target)) throw exists(options, to)
  return target
}

function exists({ flag }: NewDirectoryOptions, to: string): NarvalError {
  return new NarvalError(
    'ERR_FILE_EXISTS',
    `${to} exists, and is not overwritten: give ${flag} a new directory, or remove it`,
  )
}

function isEmptyDirectory(path: string): boolean {
  try {
    return readdirSync(path).length === 0
  } catch {
    return false
  }
}

/** Without links; undefined if it is not there. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
