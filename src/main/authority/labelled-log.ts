/** The log of a part of an authority: its lines say which part. */
import type { Logger } from '../lib/log.js'

export function labelledLog(log: Logger, label: string): Logger {
  return {
    error: (text) => log.error(`${label}: ${text}`),
    warn: (text) => log.warn(`${label}: ${text}`),
    info: (text) => log.info(`${label}: ${text}`),
    debug: (text) => log.debug(`${label}: ${text}`),
    trace: (text) => log.trace(`${label}: ${text}`),
  }
}
