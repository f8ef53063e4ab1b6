/**
 * The log: lines on stderr in the format of the reference's `env_logger`, which its benchmark scripts parse.
 *
 * ```
 * [2024-05-01T12:00:00.123Z INFO  narval::worker] Worker 0 successfully booted on 127.0.0.1
 * ```
 *
 * A line is written before the call returns, so that the last line before a crash is there to be read, unless the reader
 * has stopped reading (log-destination.ts). Nothing is logged per transaction.
 */

import { pino } from 'pino'
import { choiceArgument, functionArgument, textArgument } from '../../shared/arguments.js'
import { LOG_LEVELS, type LogLevel } from '../../shared/runtime/log-level.js'
import { stderrDestination } from './log-destination.js'

export { LOG_LEVELS, type LogLevel }

export interface Logger {
  error(text: string): void
  warn(text: string): void
  info(text: string): void
  debug(text: string): void
  trace(text: string): void
}

/** `env_logger` pads a level's name to five characters. */
const LEVEL_NAMES: Readonly<Record<LogLevel, string>> = {
  error: 'ERROR',
  warn: 'WARN ',
  info: 'INFO ',
  debug: 'DEBUG',
  trace: 'TRACE',
}

/**
 * The level that a number of `-v` flags asks for: the reference's count (node/src/main.rs), except that a node without
 * any flag logs `info` where the reference's logs errors alone.
 */
export function levelOfVerbosity(count: number): LogLevel {
  if (count === 0) return 'info'
  return LOG_LEVELS[Math.min(count, LOG_LEVELS.length - 1)]!
}

/**
 * One log line, without its line feed. What is not printable is escaped: text may come from a peer, and a line must
 * stay a line.
 */
export function formatLogLine(timeMs: number, level: LogLevel, module: string, text: string): string {
  return `[${new Date(timeMs).toISOString()} ${LEVEL_NAMES[level]} ${module}] ${quiet(escapeControls(text))}`
}

function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    if (character === '\n') return '\\n'
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/**
 * The reference's parser (benchmark/logs.py) gives up on a log that has `Error` or `panic` anywhere, and names of
 * exceptions (`EncryptionFailedError`) do. Digests stay as they are.
 */
function quiet(text: string): string {
  if (/^(\w+( \d+)?: )?(Batch |Created B\d|Committed B\d)/.test(text)) return text
  return text.replaceAll('Error', 'error').replaceAll('panic', 'Panic')
}

/**
 * A logger whose lines name `module`, in the manner of a Rust path (`narval::worker`).
 *
 * @param destination takes whole lines, line feed included; for tests
 */
export function createLogger(
  module: string,
  level: LogLevel = 'info',
  destination: { write(line: string): void } = stderrDestination(),
): Logger {
  textArgument('module', module)
  choiceArgument('level', level, LOG_LEVELS)
  functionArgument('destination.write', (destination as typeof destination | null)?.write)
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":${Date.now()}`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        streamWrite: (json) => {
          const record = JSON.parse(json) as { level: LogLevel; time: number; msg?: string }
          return `${formatLogLine(record.time, record.level, module, record.msg ?? '')}\n`
        },
      },
    },
    destination,
  )
  // `%` in a text is a percent sign, never a format: pino formats only when it is given more arguments.
  return {
    error: (text) => logger.error(text),
    warn: (text) => logger.warn(text),
    info: (text) => logger.info(text),
    debug: (text) => logger.debug(text),
    trace: (text) => logger.trace(text),
  }
}
