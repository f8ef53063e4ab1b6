/** `verify-log`: walks a log against the committee file, and says the first record that is wrong; a running node does not notice. */
import { readCommittee } from '../../shared/config/committee.js'
import { verifyingCommittee } from '../../shared/config/verifying-committee.js'
import { NarvalError } from '../../shared/errors.js'
import { primaryStoreOf } from '../../shared/store/authority-directories.js'
import { LogVerifier, type Verified } from '../../shared/store/primary/log-verifier.js'
import { EXIT_FAILURE } from './exit-codes.js'
import { progress } from './progress.js'

/** Returns the exit code: 0 if all records up to a checkpoint of this committee are what it says. */
export function verifyLog(options: { readonly committee: string; readonly store: string }): number {
  const committee = verifyingCommittee(readCommittee(options.committee))
  const log = new LogVerifier(primaryStoreOf(options.store), committee)
  const say = progress()
  try {
    const result = log.run((index, last) => say(() => `commit ${index} of ${last}`))
    for (const line of linesOf(result)) process.stdout.write(`${line}\n`)
    return result.problem === undefined && result.attested !== undefined ? 0 : EXIT_FAILURE
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_STORE_DAMAGED') throw error
    process.stdout.write(`wrong: ${error.message}\n`)
    return EXIT_FAILURE
  } finally {
    log.close()
  }
}

export function linesOf({ attested, last, oldest, problem }: Verified): string[] {
  if (problem !== undefined) return [`wrong: ${problem}`]
  if (last === 0) return ['the log has no commits yet']
  const lines = [`commits ${oldest} to ${last} are whole, and each names the one before`]
  if (oldest > 1) {
    lines.push(`commits before ${oldest} are not kept: the range over them is the store's, and the root proves it`)
  }
  if (attested === undefined) lines.push('no checkpoint yet: nothing says that this is the order of the committee')
  else {
    const { index, signers, stake, total } = attested
    lines.push(
      `commits up to ${index} are attested: authorities ${signers.join(', ')}, with stake ${stake} of ${total}, have signed their root`,
    )
    if (last > index) lines.push(`${last - index} later ${last - index === 1 ? 'one is' : 'ones are'} not attested yet`)
  }
  return lines
}
