/** Where the stores of an authority lie, in the directory that it is given. */
import { existsSync, readdirSync } from 'node:fs'
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
  return existsSync(join(ofAuthority, DATA_FILE)) ? ofAuthority : directory
}

const PART = /^(primary|worker-(\d{1,3}))$/

/**
 * The stores in a directory that somebody names, by the name that each has there: of an authority its primary's and those
 * of its workers, in order; otherwise the directory itself, under no name.
 */
export function storesIn(directory: string): readonly (readonly [name: string, path: string])[] {
  if (existsSync(join(directory, DATA_FILE)) || !existsSync(directory)) return [['', directory]]
  const order = (name: string): number => Number(PART.exec(name)![2] ?? -1)
  const names = readdirSync(directory)
    .filter((name) => PART.test(name) && existsSync(join(directory, name, DATA_FILE)))
    .sort((a, b) => order(a) - order(b))
  return names.length === 0 ? [['', directory]] : names.map((name) => [name, join(directory, name)])
}

/** Refuses the directory of a single store: stores of an authority made in it would be hard to find, and new. */
export function refuseSingleStore(directory: string): void {
  if (!existsSync(join(directory, DATA_FILE))) return
  throw new NarvalError(
    'ERR_STORE_FOREIGN',
    `${directory} is the store of a single worker or primary: an authority wants the directory in which \`primary\` and \`worker-N\` are, or are to be`,
  )
}

/** Refuses the directory of an authority for a store of its own: a worker's in it would be new, and its batches elsewhere. */
export function refuseAuthorityStore(directory: string): void {
  if (!existsSync(join(primaryDirectory(directory), DATA_FILE))) return
  throw new NarvalError(
    'ERR_STORE_FOREIGN',
    `${directory} is the store of an authority or of its primary: its workers have stores of their own; give a worker alone \`worker-N\` in it, or another directory`,
  )
}
