import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeCommittee } from '../../../src/main/local/committee-files.js'
import type { LocalOptions } from '../../../src/main/local/options.js'
import { Workspace } from '../../../src/main/local/workspace.js'
import { readCommittee } from '../../../src/shared/config/committee.js'
import { readKeys } from '../../../src/shared/config/keys.js'
import { readParameters } from '../../../src/shared/config/parameters.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

let base: string
beforeEach(() => {
  base = temporaryDirectory()
})

function fill(workspace: Workspace): void {
  writeFileSync(workspace.keysFile(0), '{}')
  mkdirSync(workspace.store(0))
  writeFileSync(workspace.clientLog({ authority: 0, worker: 1 }), 'x')
}

describe('workspace', () => {
  it('a directory that it made is gone afterwards, with all that was in it', () => {
    const workspace = Workspace.open(join(base, 'run'))
    fill(workspace)
    workspace.close(false)
    expect(readdirSync(base)).toEqual([])
  })

  it('a directory that was there stays, and so does what is not ours', () => {
    const workspace = Workspace.open(base)
    fill(workspace)
    writeFileSync(join(base, 'notes.txt'), 'mine')
    workspace.close(false)
    expect(readdirSync(base)).toEqual(['notes.txt'])
  })

  it('a directory with files of somebody else is refused and not touched', () => {
    writeFileSync(join(base, 'notes.txt'), 'mine')
    mkdirSync(join(base, 'logs'))
    expect(() => Workspace.open(base)).toThrow(expect.objectContaining({ code: 'ERR_DIRECTORY_FOREIGN' }))
    expect(readdirSync(base).sort()).toEqual(['logs', 'notes.txt'])
  })

  it('makes the directories above it too', () => {
    const workspace = Workspace.open(join(base, 'a', 'b', 'run'))
    fill(workspace)
    workspace.close(false)
    expect(readdirSync(join(base, 'a', 'b'))).toEqual([])
    writeFileSync(join(base, 'file'), '')
    for (const above of ['file', 'file/b']) {
      const open = (): Workspace => Workspace.open(join(base, above, 'run'))
      expect(open).toThrow(expect.objectContaining({ code: 'ERR_FILE_UNWRITABLE' }))
    }
  })

  it('two runs cannot share a directory', () => {
    const workspace = Workspace.open(base)
    fill(workspace)
    expect(() => Workspace.open(base)).toThrow(expect.objectContaining({ code: 'ERR_DIRECTORY_FOREIGN' }))
    expect(existsSync(workspace.keysFile(0))).toBe(true)
    workspace.close(false)
  })

  it('what a run was told to keep is kept, and replaced by the next run in that directory', () => {
    const kept = Workspace.open(base)
    fill(kept)
    kept.close(true)
    expect(existsSync(kept.keysFile(0))).toBe(true)
    const next = Workspace.open(base)
    expect(existsSync(next.keysFile(0))).toBe(false)
    next.close(false)
  })

  it('without a name it makes a directory of its own, and clears what killed runs left there', () => {
    const before = process.cwd()
    process.chdir(base)
    try {
      const living = Workspace.open(undefined)
      fill(living)
      // What a killed run leaves: an owner file that nobody holds the lock of.
      const dead = join(base, '.narval', 'local-dead')
      mkdirSync(join(dead, '.db-0-0'), { recursive: true })
      writeFileSync(join(dead, '.narval-local'), '1\n')
      const foreign = join(base, '.narval', 'local-foreign')
      mkdirSync(foreign)
      const next = Workspace.open(undefined)
      expect(existsSync(dead)).toBe(false)
      expect(existsSync(foreign)).toBe(true)
      expect(existsSync(living.keysFile(0))).toBe(true)
      next.close(false)
      living.close(false)
      expect(readdirSync(join(base, '.narval'))).toEqual(['local-foreign'])
    } finally {
      process.chdir(before)
    }
  })
})

describe('free ports', () => {
  it('are in a row, free, and below those of outgoing connections', async () => {
    const first = await freePorts(5)
    const servers = await Promise.all(
      Array.from(
        { length: 5 },
        (_, index) =>
          new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
            const server = createServer().once('error', reject)
            server.listen(first + index, '127.0.0.1', () => resolve(server))
          }),
      ),
    )
    for (const server of servers) server.close()
    expect(first + 5).toBeLessThan(32_768)
  })
})

describe('committee files', () => {
  const options: LocalOptions = {
    nodes: 3,
    workers: 2,
    rate: 1000,
    transactionBytes: 512,
    warmupS: 0,
    api: undefined,
    durationS: 1,
    faults: 0,
    unbuffered: false,
    split: false,
    ackLevel: 'stored',
    rule: 'shoal',
    json: true,
    directory: undefined,
    keep: false,
  }

  it('are files that a node reads, with keys that their owner alone can read', async () => {
    const workspace = Workspace.open(join(base, 'run'))
    const made = await makeCommittee(options, workspace)
    const committee = readCommittee(workspace.committeeFile)
    expect(committee.size).toBe(3)
    for (const authority of [0, 1, 2]) {
      const keys = readKeys(workspace.keysFile(authority))
      expect(keys.name).toBe(made.names[authority])
      expect(statSync(workspace.keysFile(authority)).mode & 0o777).toBe(0o600)
      const index = committee.indexOf(keys.publicKey)
      expect(committee.worker(index, 1).transactions).toEqual(made.transactions({ authority, worker: 1 }))
      // It may sign at its first start.
      expect(existsSync(join(workspace.store(authority), 'primary', 'fresh'))).toBe(true)
    }
    const parameters = readParameters(workspace.parametersFile)
    expect([parameters.ackLevel, parameters.retentionRounds, parameters.batchBytesMax]).toEqual([
      'stored',
      100,
      500_000,
    ])
    workspace.close(false)
  })

  it.each([
    [false, [0]],
    [true, [0, 1, 2]],
  ])('no two listeners have one port, those for metrics included, split: %s', async (split, processes) => {
    const workspace = Workspace.open(join(base, 'run'))
    const made = await makeCommittee({ ...options, split }, workspace)
    const metrics = [0, 1, 2].flatMap((authority) => processes.map((it) => made.metrics(authority, it).port))
    const text = readFileSync(workspace.committeeFile, 'utf8')
    const ports = [...metrics, ...[...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1]))]
    expect(ports).toHaveLength(metrics.length + 3 * 2 * 4)
    expect(new Set(ports).size).toBe(ports.length)
    workspace.close(false)
  })
})

describe('a workspace of a process that was killed', () => {
  it('is taken over, since the kernel let go of its lock', () => {
    const script = `
      const { Workspace } = await import(${JSON.stringify(new URL('../../../dist/main/local/workspace.js', import.meta.url).href)})
      Workspace.open(process.argv[1])
      process.kill(process.pid, 'SIGKILL')
    `
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script, base], { encoding: 'utf8' })
    expect(child.signal).toBe('SIGKILL')
    expect(existsSync(join(base, '.narval-local'))).toBe(true)
    const workspace = Workspace.open(base)
    workspace.close(false)
    expect(readdirSync(base)).toEqual([])
  })
})
