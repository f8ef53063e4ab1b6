import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { parseHosts } from '../../src/main/init/hosts.js'
import { INIT_PORT_DEFAULT } from '../../src/main/init/limits.js'
import { metricsPortOf } from '../../src/main/init/readme.js'
import { systemdUnit } from '../../src/main/init/systemd-unit.js'
import { peerIdOfSeed } from '../../src/main/network/libp2p-node.js'
import { committeeDigest, parseCommittee } from '../../src/shared/config/committee.js'
import { localCommittee } from '../../src/shared/config/committee-file.js'
import { keysOf } from '../../src/shared/config/keys.js'
import { deriveNetworkKeySeed } from '../../src/shared/config/network-key.js'
import { defaultParameters, parseParameters } from '../../src/shared/config/parameters.js'
import { ACK_BYTES, PROTOCOL_VERSION } from '../../src/shared/constants.js'
import { signer } from '../../src/shared/crypto/ed25519.js'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { ACK_LEVELS, ACK_STATUSES, writeAck } from '../../src/shared/wire/ack.js'
import { encodeFrameOf } from '../../src/shared/wire/frames.js'
import { decodeHello, encodeHello, verifyHello } from '../../src/shared/wire/hello.js'
import { encodePrimaryWorkerMessage, encodeWorkerPrimaryMessage } from '../../src/shared/wire/primary-messages.js'
import { proveTransaction } from '../../src/shared/wire/proof.js'
import { encodeProof } from '../../src/shared/wire/proof-format.js'
import { encodeFrame } from '../../src/shared/wire/reference-frame.js'
import { encodeDigests } from '../../src/shared/wire/sync-messages.js'
import { freePorts } from '../support/free-ports.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Every limit: those of `shared/constants.ts`, and those that one room alone needs. */
const constants: Record<string, unknown> = Object.assign(
  {},
  ...(await Promise.all(
    readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /(^|\/)(limits|constants)\.ts$/.test(name))
      .map((name) => import(/* @vite-ignore */ join(root, 'src', name))),
  )),
)
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const protocol = readFileSync(join(root, 'docs/protocol.md'), 'utf8')
const architecture = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
const examples = ['authority', 'worker'].map((name) => readFileSync(join(root, `examples/${name}.ts`), 'utf8'))
const documents = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** The code blocks of a language in a document. */
function blocks(document: string, language: string): string[] {
  const found = document.matchAll(/^```(\w*)\n(.*?)^```$/gms)
  return Array.from(found, ([, of, block]) => ({ of, block: block! })).flatMap(({ of, block }) =>
    of === language ? [block] : [],
  )
}

/** The cells of a document's table rows. */
function tableRows(document: string): string[][] {
  return document
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}

/** Anchors as GitHub makes them of a document's headings. */
function anchors(document: string): Set<string> {
  const headings = document.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)
  return new Set(
    Array.from(headings, ([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** Runs an example as its reader would, in a directory and at ports of its own. What it prints. */
async function outputOf(example: string): Promise<string[]> {
  const directory = temporaryDirectory()
  const port = await freePorts(5)
  const source = example
    .replace("'narval-node'", `'${pathToFileURL(join(root, 'dist/index.js'))}'`)
    .replaceAll(/127\.0\.0\.1:400(\d)/g, (_, digit: string) => `127.0.0.1:${port + Number(digit)}`)
    .replace('localCommittee([keys.name])', `localCommittee([keys.name], 1, ${port})`)
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  const file = join(directory, 'example.mjs')
  writeFileSync(file, ts.transpileModule(source, { compilerOptions }).outputText)
  const { stdout } = await promisify(execFile)(process.execPath, [...v8FlagsFor(process.versions.node), file], {
    cwd: directory,
    env: { ...process.env, TMPDIR: directory },
  })
  return stdout.trim().split('\n')
}

describe('the examples', () => {
  test('are what the README shows', () => {
    expect(blocks(readme, 'ts')).toEqual(examples)
  })

  test('of an authority orders its transaction and prints it', async () => {
    expect(await outputOf(examples[0]!)).toEqual([expect.stringMatching(/^commit \d+: a transaction$/)])
  })

  test('of a worker certifies its transaction and prints it', async () => {
    const printed = await outputOf(examples[1]!)
    expect(printed.sort()).toEqual([expect.stringMatching(/^OurBatch [\w+/]{43}=$/), 'a transaction'])
  })
})

describe('the README', () => {
  test('names the flags of V8 that a process needs', () => {
    const flags = v8FlagsFor('20.20.2').join(' ')
    expect(readme).toContain(`node ${flags} your.js`)
  })

  test('has the systemd unit that `init` writes, for the same ports', () => {
    const [host] = parseHosts({ hosts: '10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4', workers: 1, basePort: INIT_PORT_DEFAULT })
    expect(blocks(readme, 'ini')).toEqual([systemdUnit(metricsPortOf(host!, 1))])
    expect(systemdUnit(4005).replaceAll(/ \\\n +/g, ' ')).toContain(
      `ExecStart=/usr/bin/node ${v8FlagsFor('20.20.2').join(' ')} /`,
    )
  })

  test('has a committee file that is read', () => {
    const [file] = blocks(readme, 'json')
    const committee = parseCommittee(JSON.parse(file!), 'README.md')
    expect(committee.size).toBe(4)
    expect(committee.quorumThreshold).toBe(3)
  })

  test('has a table of all parameters, with their defaults', () => {
    const keys = new Set(Object.keys(parameterTable()))
    expect(parseParameters(parameterTable(), 'README.md')).toEqual(defaultParameters())
    // network_key has no default, and is missing from the defaults.
    expect(keys.size).toBe(Object.keys(defaultParameters()).length)
    expect(readme).toContain('| `network_key` | none |')
  })
})

/** The rows of the README's parameter table, as the file that they describe. */
function parameterTable(): Record<string, unknown> {
  const section = readme.slice(readme.indexOf('### 3. The parameter file'), readme.indexOf('### 4.'))
  const rows = tableRows(section).filter(([key, value]) => key!.startsWith('`') && value !== 'none')
  return Object.fromEntries(rows.map(([key, value]) => [unquote(key!), JSON.parse(unquote(value!))]))
}

function unquote(cell: string): string {
  return cell.replaceAll('`', '')
}

describe('the documents', () => {
  test.each([
    ['docs/protocol.md', protocol, 30],
    ['docs/architecture.md', architecture, 30],
  ])('name limits in %s that are those of the code', (_, document, countMin) => {
    const wrong: string[] = []
    let checked = 0
    for (const cells of tableRows(document)) {
      for (const [index, cell] of cells.entries()) {
        const name = /`([A-Z][A-Z0-9_]+)`/.exec(cell)?.[1]
        const value = cells[index + 1] ?? ''
        if (name === undefined || !/^[\d,]+$/.test(value)) continue
        checked += 1
        const actual = Number(constants[name])
        if (actual !== Number(value.replaceAll(',', ''))) wrong.push(`${name}: ${value}, in the code ${actual}`)
      }
    }
    expect(wrong).toEqual([])
    expect(checked).toBeGreaterThanOrEqual(countMin)
  })

  test('name only constants that there are', () => {
    const names = `${protocol}\n${architecture}`.matchAll(/`([A-Z]+(?:_[A-Z0-9]+)+)`/g)
    const unknown = Array.from(names, ([, name]) => name!).filter(
      (name) => !(name in constants) && !name.startsWith('ERR_'),
    )
    expect(unknown).toEqual([])
  })

  test('link to files and headings that there are', () => {
    const broken: string[] = []
    for (const document of documents) {
      const text = readFileSync(join(root, document), 'utf8')
      for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(link!)) continue
        const [path, anchor] = link!.split('#') as [string, string | undefined]
        const file = path === '' ? join(root, document) : resolve(root, dirname(document), path)
        if (!existsSync(file)) broken.push(`${document}: ${link}`)
        else if (anchor !== undefined && !anchors(readFileSync(file, 'utf8')).has(anchor)) {
          broken.push(`${document}: ${link}`)
        }
      }
    }
    expect(broken).toEqual([])
  })

  test('name source files that there are', () => {
    const missing: string[] = []
    for (const document of documents) {
      const text = readFileSync(join(root, document), 'utf8')
      for (const [, path] of text.matchAll(/`((?:src|test)\/[\w./-]+)`/g)) {
        // Paths of the reference and of its forks name Rust files.
        if (!path!.endsWith('.rs') && !existsSync(join(root, path!))) missing.push(`${document}: ${path}`)
      }
    }
    expect(missing).toEqual([])
  })

  test('name functions that are in the files that they name', () => {
    const wrong: string[] = []
    let checked = 0
    for (const document of documents) {
      const text = readFileSync(join(root, document), 'utf8')
      for (const [, name, path] of text.matchAll(/`(\w+)(?:\(\))?` (?:in|of) `((?:src|test)\/[\w./-]+\.ts)`/g)) {
        checked += 1
        if (!new RegExp(`\\b${name}\\b`).test(readFileSync(join(root, path!), 'utf8'))) wrong.push(`${name} in ${path}`)
      }
    }
    expect(wrong).toEqual([])
    expect(checked).toBeGreaterThan(4)
  })

  test('have a source map in which every file and folder is there', () => {
    const [map] = blocks(architecture, '').filter((block) => block.includes('src/index.ts'))
    const missing: string[] = []
    let folder = ''
    for (const line of map!.split('\n')) {
      const [, indent, names] = /^( *)((?:[\w./-]+\/|[\w./-]+\.ts)(?: [\w.-]+\.ts)*)/.exec(line) ?? []
      if (names === undefined) continue
      if (indent === '' && names.endsWith('/')) folder = names
      for (const name of names.split(' ')) {
        if (!existsSync(join(root, indent === '' ? name : join(folder, name)))) missing.push(name)
      }
    }
    expect(missing).toEqual([])
  })

  test('have a hello that is the one that the code makes', async () => {
    const vector = vectorOf('hello')
    const keys = [1, 2, 3, 4].map((byte) => keysOf(new Uint8Array(32).fill(byte)))
    const names = keys.map(({ name }) => name)
    const digest = committeeDigest(parseCommittee(localCommittee(names, 1, 4000), 'the example'))
    const [{ publicKey, seed }] = keys as [(typeof keys)[0]]
    const networkSeed = deriveNetworkKeySeed(seed, 0)
    const peerId = await peerIdOfSeed(networkSeed)
    const hello = encodeHello(
      {
        protocolVersion: PROTOCOL_VERSION,
        authority: publicKey,
        workerId: 0,
        peerId,
        addresses: ['/ip4/127.0.0.1/tcp/4004'],
        committeeDigest: digest,
        timeMs: 1_790_000_000_000,
        nodeVersion: 'narval/0.1.0',
        batchBytesMax: 500_000,
        ackLevel: 2,
      },
      signer(seed),
    )
    expect(vector.get('committee digest')).toBe(hex(digest))
    expect(vector.get('public key 1')).toBe(hex(publicKey))
    expect(vector.get('network seed 1')).toBe(hex(networkSeed))
    expect(vector.get('peer id 1')).toBe(peerId)
    expect(vector.get('hello of 1')).toBe(hex(hello))
    const [ours, short] = [hello, Buffer.from(vector.get('the same, short')!, 'hex')].map(decodeHello)
    expect(short!.record).toEqual(ours!.record)
    expect([ours!, short!].map(verifyHello)).toEqual([true, true])
  })

  test('have a record of a commit that is that of the vector "one batch"', () => {
    const file = JSON.parse(readFileSync(join(root, 'test/vectors/commit.json'), 'utf8')) as {
      commits: { name: string; previous: string; record: string; digest: string }[]
    }
    const { digest, previous, record } = file.commits.find(({ name }) => name === 'one batch')!
    expect(Object.fromEntries(vectorOf('commit'))).toEqual({ previous, record, digest })
  })

  test('have frames that are those that the code makes', () => {
    const vector = vectorOf('frames')
    const [batch] = batchVectors()
    const [bytes, digest, author] = [batch!.batch!, batch!.digest, batch!.author].map((text) =>
      Buffer.from(text, 'hex'),
    )
    const ack = new Uint8Array(ACK_BYTES)
    writeAck(ack, 0, 1n, digest!, ACK_LEVELS.stored, ACK_STATUSES.ok)
    const made: Record<string, Uint8Array> = {
      batch: encodeFrameOf('batch', bytes!),
      ack: encodeFrameOf('ack', ack),
      request: encodeFrameOf('request', encodeDigests([digest!])),
      found: encodeFrameOf('found', Buffer.concat([digest!, author!, bytes!])),
      missing: encodeFrameOf('missing', encodeDigests([])),
      'missing, that one': encodeFrameOf('missing', encodeDigests([digest!])),
      'hello ok': encodeFrameOf('helloOk', new Uint8Array()),
      proof: encodeProof(proveTransaction(bytes!, 0)),
    }
    expect(unspaced(vector)).toEqual(
      Object.fromEntries(Object.entries(made).map(([name, frame]) => [name, hex(frame)])),
    )

    const target = author!
    const primary: Record<string, Uint8Array> = {
      OurBatch: encodeWorkerPrimaryMessage({ type: 'OurBatch', digest: digest!, workerId: 0 }),
      OthersBatch: encodeWorkerPrimaryMessage({ type: 'OthersBatch', digest: digest!, workerId: 0 }),
      Synchronize: encodePrimaryWorkerMessage({ type: 'Synchronize', digests: [digest!], target }),
      'Cleanup, round 7': encodePrimaryWorkerMessage({ type: 'Cleanup', round: 7n }),
    }
    expect(unspaced(vectorOf('primary frames'))).toEqual(
      Object.fromEntries(Object.entries(primary).map(([name, message]) => [name, hex(encodeFrame(message))])),
    )
  })

  test('have a proof in binary form that is that of the vector', () => {
    const vector = batchVectors().find(({ name }) => name === 'four chunks, one of them a long frame')!
    expect(protocol).toContain(`the SHA-256 ${vector.proofs.find(({ index }) => index === 2)!.encoded_sha256}.`)
  })

  test.each(['one transaction of one byte', 'four chunks, one of them a long frame'])(
    'have a digest that is that of the vector "%s"',
    (name) => {
      const block = vectorBlock(name)
      expect(block.trim().split(/\s/).at(-1)).toBe(batchVectors().find((batch) => batch.name === name)!.digest)
    },
  )
})

/** The code block of docs/protocol.md behind the comment that names a vector. */
function vectorBlock(name: string): string {
  return blocks(protocol.slice(protocol.indexOf(`<!-- vector: ${name} -->`)), '')[0]!
}

/** Its lines `name   value`. */
function vectorOf(name: string): Map<string, string> {
  const lines = vectorBlock(name).trim().split('\n')
  return new Map(lines.map((line) => line.split(/ {2,}/) as [string, string]))
}

/** The same without the spaces in the values. */
function unspaced(vector: Map<string, string>): Record<string, string> {
  return Object.fromEntries(Array.from(vector, ([name, value]) => [name, value.replaceAll(' ', '')]))
}

interface BatchVector {
  readonly name: string
  readonly digest: string
  readonly author: string
  /** Of the small ones alone. */
  readonly batch?: string
  readonly proofs: readonly { readonly index: number; readonly encoded_sha256: string }[]
}

function batchVectors(): readonly BatchVector[] {
  return (JSON.parse(readFileSync(join(root, 'test/vectors/batch.json'), 'utf8')) as { batches: BatchVector[] }).batches
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
