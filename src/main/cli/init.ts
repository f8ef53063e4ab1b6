/** `init`: makes the files of a new committee, a folder for each host. */
import { relative } from 'node:path'
import { shellWord } from '../../shared/runtime/command.js'
import { type HostFlags, parseHosts } from '../init/hosts.js'
import { makeCommittee } from '../init/init.js'
import { HOSTS_DIRECTORY, lossesText } from '../init/readme.js'
import { EXIT_INTERRUPTED, watchSignals } from '../lib/signals.js'

/** Returns the exit code. */
export async function init({ out, ...flags }: HostFlags & { readonly out: string }): Promise<number> {
  const hosts = parseHosts(flags)
  const interrupt = watchSignals(() => process.exit(EXIT_INTERRUPTED))
  try {
    const named = await makeCommittee({ hosts, workers: flags.workers, out, signal: interrupt.signal })
    const rows = named.map(({ folder, name }) => `  ${name}  ${HOSTS_DIRECTORY}/${folder}`)
    const path = shellWord(relative('', out) || '.')
    process.stdout.write(
      `${path} has the files of ${named.length} authorities, a folder for each host: ${lossesText(named)}\n` +
        `${rows.join('\n')}\n` +
        `Each folder has the secret key of its host: ${path}/README.md says what to do with them\n`,
    )
    return 0
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED
    throw error
  } finally {
    interrupt.dispose()
  }
}
