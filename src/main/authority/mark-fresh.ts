/** Says that an authority is new. */
import { pathArgument } from '../../shared/arguments.js'
import { type Keys, keysArgument } from '../../shared/config/keys.js'
import { primaryDirectory, refuseSingleStore } from '../../shared/store/authority-directories.js'
import { makeDirectory } from '../../shared/store/lock.js'
import { markFreshStore } from '../../shared/store/primary/fresh-marker.js'

/**
 * Says that these keys have never been used, so that an authority may sign from its first start on. Who makes keys calls it
 * once, with the directory that is to be the authority's `store`; the first start takes the mark away. Without it, an
 * authority with a new store cannot know whether its key signed something before its disk was lost, and waits until a
 * quorum of the others has answered. Never call it for keys that have been used: an authority that signs twice can
 * split the order. Throws `ERR_STORE_USED` if there is a store that has been used.
 */
export function markFresh(store: string, keys: Keys): void {
  pathArgument('store', store)
  const { name } = keysArgument('keys', keys)
  refuseSingleStore(store)
  makeDirectory(store)
  markFreshStore(primaryDirectory(store), name)
}
