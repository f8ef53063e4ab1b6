/**
 * A machine's clock may be set at any time, by hours. Spans of time are taken from one that is not: a stream is not stalled,
 * and a line of the log is not held back, because somebody set the clock. This reads the sources for what asks the other.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const SOURCES = resolve(import.meta.dirname, '../../src')

/** A program of its own, which measures others by their logs. */
const MEASURES = 'main/local/'

/** Where the time of day is wanted, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'main/kad/bootstrap-node.ts': 'a record of addresses has a time of day, which is compared with that of this machine',
  'main/kad/kad-search.ts': 'so has our own',
  'main/lib/log.ts': 'a line of the log has a time of day',
  'main/link/remote-primary.ts': 'who looks at a link is told the time of day since which it stands',
  'main/link/worker-session.ts': 'so is who looks at its other end',
  'main/network/open-network.ts': 'so has a hello, which is compared with those of other machines',
  'main/worker/worker-health.ts':
    'libp2p tells by this clock when a connection was opened; a peer is named too early at worst',
  'shared/store/backup/backup-store.ts': 'a backup says when it was made',
  'threads/primary/runner.ts': 'a header has a time of day',
  'threads/processor/control.ts': 'sequences of a new store begin at it, ahead of those of the last',
}

test('only what needs the time of day asks for it', () => {
  const found = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith(MEASURES))
    .filter((name) => /\bDate\.now\b|\bnew Date\(\)/.test(readFileSync(join(SOURCES, name), 'utf8')))
    .map((name) => relative(SOURCES, join(SOURCES, name)))
  expect(found.sort()).toEqual(Object.keys(EXCEPTIONS).sort())
})
