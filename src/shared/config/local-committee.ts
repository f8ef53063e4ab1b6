/** A committee on this machine, for programs and examples. */
import { arrayArgument, integerArgument, textArgument } from '../arguments.js'
import { COMMITTEE_SIZE_MAX } from '../constants.js'
import { type Committee, parseCommittee } from './committee.js'
import * as file from './committee-file.js'
import { WORKERS_PER_AUTHORITY_MAX } from './limits.js'

const PORT_MAX = 65_535

/**
 * A committee of authorities on this machine, with equal stake and addresses of loopback. `names` are their public keys in
 * base64 (`keys.name`). Ports go up from `portFirst`: for each authority two of its primary, then three of each worker. Throws
 * a `TypeError` or `RangeError` that names the argument, or `ERR_COMMITTEE_MALFORMED` for a name that is no key.
 */
export function localCommittee(names: readonly string[], workers = 1, portFirst = 4000): Committee {
  const list = arrayArgument('names', names, COMMITTEE_SIZE_MAX).map((name, at) => textArgument(`names[${at}]`, name))
  integerArgument('workers', workers, 1, WORKERS_PER_AUTHORITY_MAX)
  integerArgument('portFirst', portFirst, 1, PORT_MAX - list.length * file.portsOfAuthority(workers) + 1)
  return parseCommittee(file.localCommittee(list, workers, portFirst), 'localCommittee')
}
