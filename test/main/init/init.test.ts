/** The files of a new committee: what is where, and that nothing secret is anywhere else. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseHosts } from '../../../src/main/init/hosts.js'
import { makeCommittee } from '../../../src/main/init/init.js'
import { readCommittee } from '../../../src/shared/config/committee.js'
import { readKeys } from '../../../src/shared/config/keys.js'
import { defaultParameters, readParameters } from '../../../src/shared/config/parameters.js'
import { NarvalError } from '../../../src/shared/errors.js'
import { isFresh } from '../../../src/shared/store/primary/fresh-marker.js'
import { killAtSteps, runKilled } from '../../support/kill-steps.js'
import { preloaded } from '../../support/preload.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const PROCESS = fileURLToPath(new URL('../../support/init-process.mjs', import.meta.url))
const HOSTS = 'a.example,10.0.0.2,fd00::3,d.example'
const FOLDERS = ['10.0.0.2', 'a.example', 'd.example', 'ip6-fd00--3']

function make(out: string, signal = new AbortController().signal) {
  const hosts = parseHosts({ hosts: HOSTS, workers: 1, basePort: 4000 })
  return makeCommittee({ hosts, workers: 1, out, signal })
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort()
}

/** All that each host needs is there, and is its own. */
function expectWhole(out: string): void {
  expect(readdirSync(out).sort()).toEqual(['README.md', 'committee.json', 'hosts'])
  const folders = readdirSync(join(out, 'hosts'))
  const names = folders.map((folder) => {
    const path = (name: string): string => join(out, 'hosts', folder, name)
    const keys = readKeys(path('keys.json'))
    expect(readdirSync(path('.')).sort()).toEqual([
      '.dockerignore',
      'Dockerfile',
      'README.md',
      'committee.json',
      'compose.yaml',
      'db',
      'keys.json',
      'narval.service',
      'parameters.json',
    ])
    expect(isFresh(path('db/primary'), keys.name)).toBe(true)
    expect(readFileSync(path('committee.json'), 'utf8')).toBe(readFileSync(join(out, 'committee.json'), 'utf8'))
    expect(readParameters(path('parameters.json'))).toEqual(defaultParameters())
    expect(statSync(path('keys.json')).mode & 0o777).toBe(0o600)
    expect(statSync(path('.')).mode & 0o777).toBe(0o700)
    return keys.name
  })
  const committee = readCommittee(join(out, 'committee.json'))
  expect(committee.authorities.map(({ name }) => name).sort()).toEqual(names.sort())
  expect(existsSync(`${out}.unfinished`)).toBe(false)
}

describe('the files of a new committee', () => {
  it('are a folder for each host with all that it needs, and what says what to do', async () => {
    const out = join(temporaryDirectory(), 'out')
    const named = await make(out)
    expectWhole(out)
    expect(readdirSync(join(out, 'hosts')).sort()).toEqual(FOLDERS)
    for (const { folder, name } of named) {
      expect(readKeys(join(out, 'hosts', folder, 'keys.json')).name).toBe(name)
      const readme = readFileSync(join(out, 'README.md'), 'utf8')
      expect(readme).toContain(`| \`hosts/${folder}\` | \`${name}\` |`)
    }
  })

  it('have the secret of a host in its own keys.json, and nowhere else in any form', async () => {
    const out = join(temporaryDirectory(), 'out')
    const named = await make(out)
    const files = filesIn(out)
    for (const { folder } of named) {
      const { seed } = readKeys(join(out, 'hosts', folder, 'keys.json'))
      const secret = Buffer.from(seed)
      // In base64 a secret begins and ends within a character where it is not by itself: its middle is the same.
      const forms = [secret.toString('base64').slice(0, 40), secret.toString('hex'), secret.toString('latin1')]
      const found = files.filter((name) => {
        const text = readFileSync(join(out, name), 'latin1')
        return forms.some((form) => text.includes(form))
      })
      expect(found).toEqual([`hosts/${folder}/keys.json`])
    }
    for (const { folder } of named) {
      const ignored = readFileSync(join(out, 'hosts', folder, '.dockerignore'), 'utf8')
      expect(ignored).toMatch(/^\*\n!narval-node-[\d.]+\.tgz\n$/)
    }
  })

  it('take the place of an empty directory, and of nothing else', async () => {
    const directory = temporaryDirectory()
    const out = join(directory, 'out')
    mkdirSync(out)
    await make(out)
    expectWhole(out)
    const before = readFileSync(join(out, 'committee.json'), 'utf8')
    await expect(make(out)).rejects.toThrow(expect.objectContaining({ code: 'ERR_FILE_EXISTS' }))
    writeFileSync(join(directory, 'file'), '')
    await expect(make(join(directory, 'file'))).rejects.toThrow(expect.objectContaining({ code: 'ERR_FILE_EXISTS' }))
    await expect(make(join(directory, 'no/out'))).rejects.toThrow(expect.objectContaining({ code: 'ERR_FILE_MISSING' }))
    expect(readFileSync(join(out, 'committee.json'), 'utf8')).toBe(before)
    expect(readdirSync(directory).sort()).toEqual(['file', 'out'])
  })

  it('are not there when it was interrupted', async () => {
    const directory = temporaryDirectory()
    const controller = new AbortController()
    const made = make(join(directory, 'out'), controller.signal)
    expect(readdirSync(directory)).toEqual(['out.unfinished'])
    controller.abort('SIGINT')
    await expect(made).rejects.toBe('SIGINT')
    expect(readdirSync(directory)).toEqual([])
  })

  it('are not there when the disk was full, and it is said', async (test) => {
    const path = temporaryDirectory()
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'narval-test', path])
    if (status !== 0) return test.skip('no file system can be mounted here')
    try {
      const failed = await make(join(path, 'out')).catch((error: unknown) => error)
      expect(failed).toBeInstanceOf(NarvalError)
      expect(String(failed)).toMatch(/^ERR_FILE_UNWRITABLE: .*(no space left|ENOSPC)/)
      expect(readdirSync(path)).toEqual([])
    } finally {
      spawnSync('umount', ['-l', path])
    }
  })

  it('are whole or not there after kill -9 at any step, and the next one is whole', {
    timeout: 300_000,
  }, async (test) => {
    const preload = preloaded('steps.c')
    if ('reason' in preload) return test.skip(preload.reason)
    const directory = temporaryDirectory()
    const out = join(directory, 'committee')
    const kinds = await killAtSteps(8, async (at) => {
      rmSync(out, { recursive: true, force: true })
      const killed = runKilled(PROCESS, { directory }, preload, at)
      if (existsSync(out)) {
        rmSync(`${out}.unfinished`, { recursive: true, force: true })
        expectWhole(out)
      }
      rmSync(out, { recursive: true, force: true })
      expect(runKilled(PROCESS, { directory }, preload, { step: 0, isTorn: false }).lines).toEqual(['done'])
      expectWhole(out)
      return killed
    })
    expect(kinds.size).toBeGreaterThan(1)
  })
})
