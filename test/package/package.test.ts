/**
 * The package as somebody gets it: packed, installed in an empty project, and used from there. The registry is asked for
 * what it depends on.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { freePorts } from '../support/free-ports.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'narval-package-'))
const app = join(directory, 'app')
const INSTALL_MS = 600_000
const execute = promisify(execFile)
const npm = (cwd: string, ...args: string[]) =>
  execute('npm', [...args, '--no-audit', '--no-fund', '--prefer-offline'], { cwd, maxBuffer: 2 ** 26 })
const node = (...args: string[]) => execute(process.execPath, args, { cwd: app, env: { ...process.env, TMPDIR: app } })

const fromGit = join(directory, 'from-git')
let said = ''
/** What npm says of the installation from git. It takes its time, and runs beside the other tests. */
let gitInstall: Promise<{ stdout: string; stderr: string }>

function makeProject(path: string): void {
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name: 'app', private: true }))
}

async function installFromGit(): Promise<{ stdout: string; stderr: string }> {
  const clone = join(directory, 'clone')
  await execute('git', ['clone', '--quiet', '--no-hardlinks', root, clone])
  makeProject(fromGit)
  return npm(fromGit, 'install', `git+file://${clone}`)
}

beforeAll(async () => {
  gitInstall = installFromGit()
  gitInstall.catch(() => {})
  // It is built already, before all tests.
  await npm(root, 'pack', '--ignore-scripts', '--pack-destination', directory)
  const [tarball] = readdirSync(directory).filter((name) => name.endsWith('.tgz'))
  makeProject(app)
  const { stdout, stderr } = await npm(app, 'install', join(directory, tarball!))
  said = `${stdout}${stderr}`
}, INSTALL_MS)

afterAll(async () => {
  await gitInstall.catch(() => {})
  rmSync(directory, { recursive: true, force: true })
}, INSTALL_MS)

/** The example of the package, with ports that are free here, as the JavaScript that Node runs. */
async function exampleOf(project: string): Promise<string> {
  const source = readFileSync(join(project, 'node_modules/narval-node/examples/worker.ts'), 'utf8')
  const port = await freePorts(5)
  const here = source.replaceAll(/127\.0\.0\.1:400(\d)/g, (_, digit: string) => `127.0.0.1:${port + Number(digit)}`)
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  const file = join(project, 'worker.mjs')
  writeFileSync(file, ts.transpileModule(here, { compilerOptions }).outputText)
  return file
}

describe('the packed package', () => {
  it('installs without a warning that Node is too old for something in it', () => {
    expect(said).not.toContain('EBADENGINE')
    expect(said).toMatch(/added \d+ packages/)
  })

  it('has an example that runs from there', async () => {
    const { stdout } = await node(...v8FlagsFor(process.versions.node), await exampleOf(app))
    expect(stdout.trim().split('\n').sort()).toEqual([expect.stringMatching(/^OurBatch [\w+/]{43}=$/), 'a transaction'])
  })

  it('has the same names for import and require', async () => {
    const print = 'console.log(Object.keys(narval).filter((name) => !/^(default|__|module)/.test(name)).sort().join())'
    const imported = await node('--input-type=module', '-e', `import * as narval from 'narval-node'; ${print}`)
    const required = await node('-e', `const narval = require('narval-node'); ${print}`)
    expect(imported.stdout).toContain('startWorker')
    expect(required.stdout).toBe(imported.stdout)
    expect(required.stderr).toBe('')
  })

  it.each(['NodeNext', 'ESNext'])(
    'has types that are complete, checked without skipLibCheck for %s',
    async (module) => {
      const source = readFileSync(join(app, 'node_modules/narval-node/examples/worker.ts'), 'utf8')
      writeFileSync(join(app, 'typed.mts'), `import type {} from 'narval-node/verify'\n${source}`)
      const program = ts.createProgram([join(app, 'typed.mts')], {
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        target: ts.ScriptTarget.ES2022,
        lib: ['lib.es2022.d.ts'],
        module: module === 'NodeNext' ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext,
        moduleResolution: module === 'NodeNext' ? ts.ModuleResolutionKind.NodeNext : ts.ModuleResolutionKind.Bundler,
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
      })
      const problems = ts
        .getPreEmitDiagnostics(program)
        .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
      expect(problems).toEqual([])
    },
  )

  it('has narval-node/verify, with types', async () => {
    const { stdout } = await node(
      '--input-type=module',
      '-e',
      `import * as verify from 'narval-node/verify'
      console.log(Object.keys(verify).sort().join())`,
    )
    expect(stdout.trim().split(',')).toEqual([
      ...['checkProof', 'committeeOf', 'decodeProof', 'decodeReceiptProof', 'encodeProof', 'encodeReceiptProof'],
      ...['receiptProofFromJson', 'receiptProofToJson', 'verify', 'verifyCheckpoint', 'verifyCommit'],
      'verifyTransaction',
    ])
  })

  it('has narval-node/client, with types', async () => {
    const { stdout } = await node(
      '--input-type=module',
      '-e',
      `import * as client from 'narval-node/client'
      console.log(Object.keys(client).sort().join())`,
    )
    expect(stdout.trim()).toBe('Client,GatewayError,STAGES,committeeOf,verify')
  })

  it('has the command narval', async () => {
    const { stdout } = await execute(join(app, 'node_modules/.bin/narval'), ['--help'], { cwd: app })
    expect(stdout).toMatch(/^Usage: narval /)
  })
})

describe('the package from git', () => {
  it(
    'is built as it is installed, and its example runs',
    async () => {
      const { stdout, stderr } = await gitInstall
      expect(`${stdout}${stderr}`).not.toContain('EBADENGINE')
      const example = await exampleOf(fromGit)
      const run = await execute(process.execPath, [...v8FlagsFor(process.versions.node), example], {
        cwd: fromGit,
        env: { ...process.env, TMPDIR: fromGit },
      })
      expect(run.stdout).toContain('a transaction')
    },
    INSTALL_MS,
  )
})
