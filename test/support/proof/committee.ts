/** The files of four authorities on loopback. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { formatCommittee, localCommittee } from '../../../src/shared/config/committee-file.js'
import { readKeys } from '../../../src/shared/config/keys.js'
import { freePorts } from '../free-ports.js'
import { AuthorityProcess } from './authority-process.js'

export const AUTHORITIES = [0, 1, 2, 3] as const

/** Keys and marks as a newcomer makes them, by the command line. Nothing is started. */
export async function committeeOfFour(directory: string, nodeFile: string): Promise<AuthorityProcess[]> {
  const names = AUTHORITIES.map((index) => {
    const filename = join(directory, `keys-${index}.json`)
    const store = join(directory, `store-${index}`)
    const { status, stderr } = spawnSync(
      process.execPath,
      [nodeFile, 'generate_keys', '--filename', filename, '--store', store],
      { encoding: 'utf8' },
    )
    if (status !== 0 || stderr !== '') throw new Error(`generate_keys ended with ${status}: ${stderr}`)
    return readKeys(filename).name
  })
  const portFirst = await freePorts(24)
  const file = localCommittee(names, 1, portFirst)
  writeFileSync(join(directory, 'committee.json'), formatCommittee(file))
  const committee = parseCommittee(file)
  return AUTHORITIES.map((index) => {
    const own = committee.authorities.findIndex(({ name }) => name === names[index])
    return new AuthorityProcess({
      nodeFile,
      directory,
      index,
      transactionsPort: committee.worker(own, 0).transactions.port,
      metricsPort: portFirst + 20 + index,
    })
  })
}
