/** `fresh`: says that keys have never been used. */
import { readKeys } from '../../shared/config/keys.js'
import { markFresh } from '../authority/mark-fresh.js'

export function markFreshAuthority(keys: string, store: string): void {
  markFresh(store, readKeys(keys))
  process.stdout.write(`${store} is marked as the store of a new authority: its first start takes the mark away\n`)
}
