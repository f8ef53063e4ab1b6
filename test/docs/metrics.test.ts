/** docs/metrics.md names every metric and every problem of health, as the code does. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { GatewayMetrics } from '../../src/main/metrics/gateway-metrics.js'
import { addLinkMetrics } from '../../src/main/metrics/link-metrics.js'
import { WorkerMetrics } from '../../src/main/metrics/metrics.js'
import { PrimaryMetrics } from '../../src/main/metrics/primary-metrics.js'
import { RefusalCounts } from '../../src/main/metrics/refusal-counts.js'
import { PRIMARY_PROBLEMS } from '../../src/main/primary/watch/primary-health.js'
import { ApplicationRunner } from '../../src/main/runner/application-runner.js'
import { APPLICATION_PROBLEMS } from '../../src/main/runner/runner-health.js'
import { RunnerMetrics } from '../../src/main/runner/runner-metrics.js'
import { COUNTERS_BYTES, Counters } from '../../src/shared/memory/counters.js'
import { LastApplied } from '../../src/shared/memory/last-applied.js'
import { createPrimaryMemory } from '../../src/shared/memory/primary-memory.js'
import { ADDRESS_RECORD_REFUSALS } from '../../src/shared/wire/address-record.js'
import { PEER_A, PEER_B, sources } from '../support/metrics-sources.js'

const root = join(import.meta.dirname, '../..')
const document = readFileSync(join(root, 'docs/metrics.md'), 'utf8')

/** The cells of the rows of the table below a heading. */
function rowsBelow(heading: string): string[][] {
  const from = document.indexOf(`\n${heading}\n`)
  expect(from, heading).toBeGreaterThan(0)
  const next = document.indexOf('\n#', from + heading.length)
  const section = document.slice(from, next < 0 ? undefined : next)
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  )
}

interface Family {
  readonly name: string
  readonly type?: string
  readonly help: string
  readonly labelNames: readonly string[]
}

function rowsOf({ registry }: { registry: { getMetricsAsArray(): unknown[] } }): string[][] {
  return (registry.getMetricsAsArray() as Family[]).map((family) => [
    `\`${family.name}\``,
    family.constructor.name.toLowerCase(),
    family.labelNames.map((label) => `\`${label}\``).join(', '),
    family.help.replaceAll('|', '\\|'),
  ])
}

const worker = new WorkerMetrics({ version: '1.2.3', peers: [PEER_A, PEER_B], sources: sources() })
const primary = new PrimaryMetrics({
  version: '1.2.3',
  authorities: [PEER_A, PEER_B],
  sources: {
    counters: new Counters(createPrimaryMemory().counters.primary, 'primary'),
    refusals: new RefusalCounts(),
    quorumThreshold: 2,
    connectedStake: () => 2,
    missing: () => [],
    peers: () => [],
    health: () => ({ ok: true, ordering: true }),
  },
})
const link = { registry: new Registry() }
addLinkMetrics(link.registry, () => new Map())
const application = new RunnerMetrics(
  new ApplicationRunner({
    commits: () => expect.fail('nothing runs'),
    lastApplied: new LastApplied(),
    lastCommit: () => 0,
    firstKept: () => 0,
    commitsKept: 0,
    log: { error() {}, info() {} },
  }),
)
const gatewayRow = { buffer: new SharedArrayBuffer(COUNTERS_BYTES), byteOffset: 0 }
const gateway = new GatewayMetrics(new Counters(gatewayRow, 'gateway'))
const common = new Set(
  rowsOf(worker).flatMap(([name]) => (rowsOf(primary).some(([other]) => other === name) ? [name] : [])),
)
const without = (rows: string[][]): string[][] => rows.filter(([name]) => !common.has(name))
const sorted = (rows: string[][]): string[][] => [...rows].sort(([a], [b]) => (a! < b! ? -1 : 1))

describe('docs/metrics.md', () => {
  test.each([
    ['### Of the primary', without(rowsOf(primary))],
    ['### Of a worker', without(rowsOf(worker))],
    ['### Of a link', rowsOf(link)],
    ['### Of an application', rowsOf(application)],
    ['### Of the gateway', without(rowsOf(gateway))],
    ['### Of both', rowsOf(worker).filter(([name]) => common.has(name))],
  ])('has all metrics, %s, with type, labels and help', (heading, rows) => {
    expect(rows.length).toBeGreaterThan(3)
    expect(
      sorted(rowsBelow(heading).filter(([name]) => name!.startsWith('`narval_') || name!.startsWith('`process_'))),
    ).toEqual(sorted(rows))
  })

  test('has all problems of a primary', () => {
    expect(rowsBelow("## A primary's problems").map(([kind]) => kind)).toEqual(
      PRIMARY_PROBLEMS.map((kind) => `\`${kind}\``),
    )
  })

  test('has all problems of an application', () => {
    expect(rowsBelow("## An application's problems").map(([kind]) => kind)).toEqual(
      APPLICATION_PROBLEMS.map((kind) => `\`${kind}\``),
    )
  })

  test('has all reasons for which a published record is not believed, as the protocol has them', () => {
    const rows = rowsBelow('### Of both').map(([name]) => name!)
    const reasons = ADDRESS_RECORD_REFUSALS.map((reason) => `\`record-${reason}\``)
    expect(rows.filter((name) => name.startsWith('`record-'))).toEqual(reasons)
    const protocol = readFileSync(join(root, 'docs/protocol.md'), 'utf8')
    expect([...protocol.matchAll(/`record-[a-z-]+`/g)].map(([name]) => name)).toEqual(reasons)
  })

  test('and the README name only metrics that there are', () => {
    const text = `${document}${readFileSync(join(root, 'README.md'), 'utf8')}${readFileSync(join(root, 'docs/architecture.md'), 'utf8')}`
    const known = new Set(
      [...rowsOf(worker), ...rowsOf(primary), ...rowsOf(link), ...rowsOf(application), ...rowsOf(gateway)].map(
        ([name]) => name!.slice(1, -1),
      ),
    )
    const named = [...text.matchAll(/`(narval_[a-z_]+)/g)].map(([, name]) => name!)
    const parts = /_(bucket|sum|count)$/
    expect(named.filter((name) => !known.has(name) && !known.has(name.replace(parts, '')))).toEqual([])
  })
})
