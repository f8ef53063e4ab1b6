import { describe, expect, it } from 'vitest'
import { createLogger, formatLogLine, LOG_LEVELS, levelOfVerbosity } from '../../../src/main/lib/log.js'

function capture(): { lines: string[]; write(line: string): void } {
  const lines: string[] = []
  return { lines, write: (line) => void lines.push(line) }
}

describe('log', () => {
  it("a line has the reference's format, level names padded to five", () => {
    const time = Date.UTC(2024, 4, 1, 12, 0, 0, 7)
    expect(formatLogLine(time, 'info', 'narval::worker', 'hello')).toBe(
      '[2024-05-01T12:00:00.007Z INFO  narval::worker] hello',
    )
    expect(formatLogLine(time, 'warn', 'm', 'x')).toBe('[2024-05-01T12:00:00.007Z WARN  m] x')
    expect(formatLogLine(time, 'error', 'm', 'x')).toBe('[2024-05-01T12:00:00.007Z ERROR m] x')
  })

  it("what the reference's parser looks for is found in what a logger writes", () => {
    const out = capture()
    const log = createLogger('narval::worker', 'info', out)
    log.info('Worker 0 successfully booted on 127.0.0.1')
    log.info('Batch 3q2+7w== contains 499712 B')
    const text = out.lines.join('')
    expect(text).toMatch(/booted on (\d+.\d+.\d+.\d+)/)
    expect(/Batch ([^ ]+) contains (\d+) B/.exec(text)?.slice(1)).toEqual(['3q2+7w==', '499712'])
    expect(/\[(.*Z) .* Batch /.exec(text)?.[1]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(out.lines.every((line) => line.endsWith('\n'))).toBe(true)
  })

  it('no level and no text puts "Error" or "panic" in a log: the reference parser aborts on them', () => {
    const out = capture()
    const log = createLogger('m', 'trace', out)
    for (const level of LOG_LEVELS) log[level](`${new TypeError('panic: EncryptionFailedError')}`)
    expect(out.lines).toHaveLength(LOG_LEVELS.length)
    for (const line of out.lines) expect(line).not.toMatch(/Error|panic/)
  })

  it("a digest is left as it is, whatever letters it has, since the benchmark's lines are matched by it", () => {
    const out = capture()
    const lines = [
      'Batch aaErrorpanic= contains 5 B',
      'Created B1(aaaaaaaaaaaaaaaa) -> aaErrorpanic=',
      'Committed B1(aaaaaaaaaaaaaaaa) -> aaErrorpanic=',
      'worker 0: Batch aaErrorpanic= contains 5 B',
      'primary: Committed B1(aaaaaaaaaaaaaaaa) -> aaErrorpanic=',
    ]
    for (const line of lines) createLogger('m', 'info', out).info(line)
    for (const [index, line] of lines.entries()) expect(out.lines[index]).toContain(line)
  })

  it("a peer's line feeds and escape codes cannot start a line or colour a terminal", () => {
    const out = capture()
    createLogger('m', 'info', out).info('reason: \n[forged] \u001b[31mred\u0007 %s "quoted"')
    expect(out.lines).toHaveLength(1)
    expect(out.lines[0]!.trimEnd()).toMatch(/\] reason: \\n\[forged\] \\u001b\[31mred\\u0007 %s "quoted"$/)
  })

  it('a level above the chosen one writes nothing', () => {
    const out = capture()
    const log = createLogger('m', 'warn', out)
    log.info('no')
    log.warn('yes')
    expect(out.lines.map((line) => line.trimEnd().slice(-3))).toEqual(['yes'])
  })

  it("-v counts as the reference's does, and no flag is info", () => {
    expect([0, 1, 2, 3, 4, 9].map(levelOfVerbosity)).toEqual(['info', 'warn', 'info', 'debug', 'trace', 'trace'])
  })
})
