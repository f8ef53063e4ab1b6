/** Tables, names and numbers of docs/protocol.md and docs/consensus.md, compared with the code. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LINK_BATCH_BYTES_MAX, LINK_MESSAGE_BYTES_MAX } from '../../src/main/link/limits.js'
import { PEER_QUEUE_BYTES_MAX, PEER_QUEUE_RECORDS_MAX } from '../../src/main/primary/limits.js'
import * as constants from '../../src/shared/constants.js'
import { ACK_VERDICTS } from '../../src/shared/memory/dialogue/quorum-waiter.js'
import { CLIENT_REFUSALS, LINK_REFUSALS } from '../../src/shared/refusals.js'
import { STORE_FORMAT } from '../../src/shared/store/format.js'
import { PRIMARY_STORE_FORMAT } from '../../src/shared/store/primary/format.js'
import { BATCH_VERSION } from '../../src/shared/wire/batch.js'
import { FRAME_TYPES } from '../../src/shared/wire/frames.js'
import { LINK_KINDS, LINK_VERSION } from '../../src/shared/wire/link/messages.js'
import { RECORD_BYTES_MAX } from '../../src/shared/wire/primary/limits.js'
import { RECORD_KINDS, RECORD_VERSION } from '../../src/shared/wire/primary/record.js'
import { COMMITTED_RUNS_MAX } from '../../src/threads/primary/consensus/limits.js'
import * as primary from '../../src/threads/primary/limits.js'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const protocol = read('docs/protocol.md')
const consensus = read('docs/consensus.md')
const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => read(join('src', name)))
  .join('\n')

/** The rows of the first table behind a text, without its head, cell by cell. */
function tableBehind(text: string): string[][] {
  const at = protocol.indexOf(text)
  expect(at, text).toBeGreaterThan(0)
  const [table] = /(?:^\|.*\n)+/m.exec(protocol.slice(at + text.length))!
  const rows = table!.trim().split('\n').slice(2)
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

const grouped = (value: number): string => value.toLocaleString('en-US')

/** The members of a union of texts, as its source lists them. */
function unionOf(type: string): string[] {
  const [, body] = new RegExp(`export type ${type} =\\n(.*?)\\n\\n`, 's').exec(`${sources}\n\n`)!
  return Array.from(body!.matchAll(/^ {2}\| '([a-z-]+)'/gm), ([, name]) => name!)
}

describe('the protocol', () => {
  test('has a table of all frames, with the longest', () => {
    const rows = tableBehind('## 2. Frames')
    const named = Object.fromEntries(
      rows.map(([type, name]) => [name!.replaceAll(/ (.)/g, (_, c: string) => c.toUpperCase()), Number(type)]),
    )
    expect(named).toEqual(FRAME_TYPES)
    const longest = (type: number): string => rows[type - 1]!.at(-1)!
    expect(longest(2)).toBe(String(constants.ACK_BYTES))
    expect(longest(9)).toBe(`at most ${grouped(RECORD_BYTES_MAX)}`)
    expect(longest(10)).toBe(
      `at most ${grouped(LINK_MESSAGE_BYTES_MAX)}; with a batch ${LINK_BATCH_BYTES_MAX - constants.BATCH_SIZE_MAX} + \`batch_size\``,
    )
  })

  test('has a table of all messages between a worker and its own primary', () => {
    const rows = tableBehind('Each frame of type 10 is one message.')
    const named = rows.map(([kind, from, name]) => [name === 'ping' ? `ping-of-${from}` : name, Number(kind)])
    expect(Object.fromEntries(named)).toEqual(LINK_KINDS)
  })

  test('has a table of all records between primaries', () => {
    const kinds = tableBehind('which a primary must follow')
      .map(([kind]) => Number(kind))
      .filter((kind) => kind > 0)
    expect(kinds).toEqual(Object.values(RECORD_KINDS))
    const bytes = Array.from(consensus.matchAll(/├ 1 ──┼ (\d+) ─+┼/g), ([, kind]) => Number(kind))
    expect(bytes).toEqual(Object.values(RECORD_KINDS))
  })

  test('has the versions of the code', () => {
    const versions = Object.fromEntries(tableBehind('## 10. Versions').map(([what, , now]) => [what, now]))
    expect(versions).toMatchObject({
      'protocols between workers': String(constants.PROTOCOL_VERSION),
      batch: String(BATCH_VERSION),
      'store of a worker': String(STORE_FORMAT),
      'store of a primary': grouped(PRIMARY_STORE_FORMAT),
      'records between primaries': String(RECORD_VERSION),
      'link between a worker and its own primary': String(LINK_VERSION),
    })
    expect(protocol).toContain(`| \`meta\` | \`format\` | u64 ${STORE_FORMAT} |`)
  })

  test('checks a hello in the order of the code', () => {
    const rows = tableBehind('The first that fails is the reason')
    const reasons = rows.map(([, reason]) => reason!.replaceAll('`', ''))
    expect([...reasons].sort()).toEqual(unionOf('HelloRefusal').sort())
    const code = read('src/shared/wire/hello-check.ts')
    // The version is compared twice: where a hello does not decode, and in its place.
    const places = reasons.map(
      (reason) => code.lastIndexOf(`refuse('${reason}'`) + code.lastIndexOf(`'${reason}',\n      \``),
    )
    expect(places).toEqual([...places].sort((a, b) => a - b))
  })

  test('names every reason for which something is refused, and no other', () => {
    const text = protocol.replaceAll(/^ *```.*?^ *```/gms, '')
    const known = [
      ...LINK_REFUSALS,
      ...CLIENT_REFUSALS,
      ...ACK_VERDICTS.filter((verdict) => !['counted', 'held', 'malformed'].includes(verdict)),
      ...unionOf('AuthorityRefusal'),
      ...unionOf('PeerRefusal'),
      ...unionOf('BatchRefusal'),
    ]
    expect(known.filter((reason) => !text.includes(`\`${reason}\``))).toEqual([])
    const named = new Set(Array.from(text.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g), ([, name]) => name!))
    const isKnown = (name: string): boolean =>
      sources.includes(`'${name.replace(/^(hello|record)-/, '')}'`) || sources.includes(`'${name}'`)
    expect([...named].filter((name) => !isKnown(name))).toEqual([])
  })

  test('has the tags of all that is hashed or signed, and of all protocols', () => {
    const tags = Array.from(sources.matchAll(/'(\/?narval\/[a-z-]+\/v?\d+)'/g), ([, tag]) => tag!)
    expect(tags.length).toBeGreaterThan(15)
    expect(tags.filter((tag) => !protocol.includes(tag) && !consensus.includes(tag))).toEqual([])
  })
})

test.each([
  [
    protocol,
    `| 4,096 a second, 16 MiB a second |`,
    [primary.CERTIFICATES_SERVED_PER_S, primary.CERTIFICATE_BYTES_SERVED_PER_S],
    [4096, 2 ** 24],
  ],
  [protocol, `| ${primary.RANGE_CERTIFICATES_MAX}, the lowest rounds first |`, [], []],
  [protocol, `| ${primary.RANGE_REQUEST_COST}, and one for each certificate |`, [], []],
  [
    protocol,
    `| ${primary.WASTED_VERIFICATIONS_PER_S} a second, as many at once |`,
    [primary.WASTED_VERIFICATIONS_BURST],
    [primary.WASTED_VERIFICATIONS_PER_S],
  ],
  [
    protocol,
    `| ${constants.PRIMARY_INBOUND_MESSAGES_MAX}, and 1 MiB |`,
    [constants.PRIMARY_INBOUND_BYTES_MAX],
    [2 ** 20],
  ],
  [protocol, `| ${grouped(PEER_QUEUE_RECORDS_MAX)}, and 4 MiB |`, [PEER_QUEUE_BYTES_MAX], [2 ** 22]],
  [consensus, `beyond ${primary.WASTED_VERIFICATIONS_PER_S} a second`, [], []],
  [consensus, `at most ${grouped(COMMITTED_RUNS_MAX)}`, [], []],
])('numbers of primaries are those of the code: %#', (document, text, values, expected) => {
  expect(document).toContain(text)
  expect(values).toEqual(expected)
})
