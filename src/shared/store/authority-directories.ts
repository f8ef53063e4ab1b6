/** Where the stores of an authority lie, in the directory that it is given. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { NarvalError } from '../errors.js'
import { DATA_FILE } from './store-error.js'

export function primaryDirectory(store: string): string {
  return join(store, 'primary')
}

export function workerDirectory(store: string, workerId: number): string {
  return join(store, `worker-${workerId}`)
}

/** The primary's store: of an authority that has this directory, or the directory itself. */
export function primaryStoreOf(directory: string): string {
  const ofAuthority = primaryDirectory(directory)
  return holdsStore(ofAuthority) ? ofAuthority : directory
}

/** A worker's id is a u32. */
const PART = /^(primary|worker-(0|[1-9]\d{0,9}))$/

/**
 * The stores in a directory that somebody names, by the name that each has there: of an authority its primary's and those
 * of its workers, in order; otherwise the directory itself, under no name.
 */
export function storesIn(directory: string): readonly (readonly [name: string, path: string])[] {
  if (holdsStore(directory) || !existsSync(directory)) return [['', directory]]
  const order = (name: string): number => Number(PART.exec(name)![2] ?? -1)
  const names = namesIn(directory)
    .filter((name) => PART.test(name) && holdsStore(join(directory, name)))
    .sort((a, b) => order(a) - order(b))
  return names.length === 0 ? [['', directory]] : names.map((name) => [name, join(directory, name)])
}

/** Also where this user may not look: whoever opens it is told so then, and not that there is none. */
function holdsStore(directory: string): boolean {
  try {
    statSync(join(directory, DATA_FILE))
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code !== 'ENOENT' && code !== 'ENOTDIR'
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    throw new NarvalError(
      'ERR_FILE_UNREADABLE',
      `cannot read the store's directory ${directory}: ${(error as Error).message}: give the --store of a node, as a user who may read it`,
      { cause: error },
    )
  }
}

/** Refuses the directory of a single store: stores of an authority made in it would be hard to find, and new. */
export function refuseSingleStore(directory: string): void {
  if (!holdsStore(directory)) return
  throw new NarvalError(
    'ERR_STORE_FOREIGN',
    `${directory} is the store of a single worker or primary: an authority wants the directory in which \`primary\` and \`worker-N\` are, or are to be`,
  )
}

/** Refuses the directory of an authority for a store of its own: a worker's in it would be new, and its batches elsewhere. */
export function refuseAuthorityStore(directory: string): void {
  if (!holdsStore(primaryDirectory(directory))) return
  throw new NarvalError(
    'ERR_STORE_FOREIGN',
    `${directory} is the store of an authority or of its primary: its workers have stores of their own; give a worker alone \`worker-N\` in it, or another directory`,
  )
}
