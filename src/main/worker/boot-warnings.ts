/** What a node says at its start of how it was started, where that will do it harm. */
import type { Committee } from '../../shared/config/committee.js'
import { missingV8Flags } from '../../shared/runtime/v8-flags.js'
import { isLoopback } from '../../shared/wire/source-address.js'
import type { Logger } from '../lib/log.js'
import { openFilesLimit, openFilesProblem } from './open-files.js'

export function warnOfFlags(log: Logger): void {
  const missing = missingV8Flags(process.versions.node, process.execArgv)
  if (missing.length === 0) return
  log.warn(
    `Node was started without ${missing.join(' ')}: garbage collection will take up to a third of its CPU under load`,
  )
}

/** @param needed files that are open when all that may be connected is */
export function warnOfOpenFiles(log: Logger, needed: number): void {
  const problem = openFilesProblem(needed, openFilesLimit())
  if (problem !== undefined) log.warn(problem)
}

/**
 * @param bind the loopback address that it listens on for want of another
 * @param host at which the committee knows it
 */
export function warnOfLoopback(log: Logger, committee: Committee, bind: string, host: string | undefined): void {
  if (committee.size === 1 || (host !== undefined && isLoopback(host))) return
  const at = host === undefined ? '' : ` at ${host}`
  log.warn(`Listening on ${bind} alone, since no \`bind\` was given: other machines do not reach this node${at}`)
}
