/** The version of narval, from its package. */
import { readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

export const VERSION = version
/** As a hello and the boot log name the program. */
export const NODE_VERSION = `narval/${version}`
