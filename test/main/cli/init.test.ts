/**
 * `init` as a user meets it: the command, and four authorities that are started with what the units that it wrote say.
 *
 * Runs in pairs: four nodes, nearly idle.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { CONFIG_DIRECTORY, INSTALL_DIRECTORY, STORE_DIRECTORY } from '../../../src/main/init/node-command.js'
import { systemdUnit } from '../../../src/main/init/systemd-unit.js'
import { TestClient } from '../../support/client.js'
import { type Ended, runNarval } from '../../support/command-line.js'
import { freePorts } from '../../support/free-ports.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { until } from '../../support/until.js'

const ROOT = resolve(import.meta.dirname, '../../..')
const PORTS = 6

let base: string
beforeEach(() => {
  base = temporaryDirectory()
})

const narval = (...args: string[]): Ended => runNarval(base, args)

function expectError(result: Ended, status: number, message: RegExp): void {
  expect(result.stderr).toMatch(/^narval: [^\n]+\n$/)
  expect(result.stderr).toMatch(message)
  expect([result.status, result.stdout]).toEqual([status, ''])
}

describe('init', () => {
  it.each([
    [[], /ERR_USAGE: required option '--hosts <list>'/],
    [['--hosts', 'a,b,c'], /ERR_USAGE: --hosts: 3 of them, and the loss of one would end the order: name 4 or more/],
    [['--hosts', 'a,b,c,c'], /ERR_USAGE: --hosts: c is there twice/],
    [['--hosts', 'a,b,c,10.0.0.256'], /ERR_USAGE: --hosts: "10\.0\.0\.256": expected an IP address or a name/],
    [['--hosts', 'a,b,c,d', '--base-port', '80'], /ERR_USAGE: .*--base-port.* Expected an integer from 1024/],
    [['--hosts', 'a,b,c,d', '--base-port', '65531'], /ERR_USAGE: the ports of a begin at 65531/],
    [['--hosts', 'a,b,c,d', '--workers', '0'], /ERR_USAGE: .*--workers/],
    [['--hosts', 'a,b,c,d', '--stake', '1,1'], /ERR_USAGE: --stake: 2 stakes for 4 hosts/],
    [['--hosts', 'a,b,c,d', '--out', ''], /ERR_USAGE: .*--out/],
    [['--hosts', 'a,b,c,d', 'e'], /ERR_USAGE: too many arguments/],
  ])('refuses %j in one line, and makes nothing', (args, message) => {
    expectError(narval('init', ...args), 2, message)
    expect(readdirSync(base)).toEqual([])
  })

  it('makes the directory that is named, says what is in it, and overwrites nothing', () => {
    const args = [
      'init',
      '--hosts',
      '10.0.0.1,b.example,fd00::3,[fd00::4]:5000',
      '--stake',
      '1,2,1,1',
      '--workers',
      '2',
    ]
    const { status, stderr, stdout } = narval(...args)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^narval-committee has the files of 4 authorities, a folder for each host: without b\.example nothing is ordered\n(?: {2}[\w+/]{43}= {2}hosts\/\S+\n){4}Each folder has the secret key of its host: narval-committee\/README\.md says .*\n$/,
    )
    expect(readdirSync(join(base, 'narval-committee/hosts')).sort()).toEqual([
      '10.0.0.1',
      'b.example',
      'ip6-fd00--3',
      'ip6-fd00--4',
    ])
    const before = readFileSync(join(base, 'narval-committee/committee.json'), 'utf8')
    expectError(narval(...args), 1, /ERR_FILE_EXISTS: narval-committee exists, and is not overwritten/)
    expect(readFileSync(join(base, 'narval-committee/committee.json'), 'utf8')).toBe(before)
    expect(readdirSync(base)).toEqual(['narval-committee'])
    expectError(narval(...args, '--out', 'no/such'), 1, /ERR_FILE_MISSING: the directory of no\/such/)
  })

  it.skipIf(process.platform !== 'linux')('where nothing can be made it is said in one line', () => {
    const args = ['init', '--hosts', 'a,b,c,d', '--out', '/proc/narval-committee']
    expectError(narval(...args), 1, /ERR_FILE_UNWRITABLE: the committee cannot be written, and nothing is left of it/)
  })

  it('writes units in which systemd finds nothing wrong', (test) => {
    const path = join(base, 'narval.service')
    const complaints = (unit: string): string[] | undefined => {
      writeFileSync(path, unit.replace('/usr/bin/node', process.execPath))
      const { error, stderr, stdout } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
      if (error !== undefined) return undefined
      return `${stdout}${stderr}`.split('\n').filter((line) => line.includes(path) || line.includes('narval.service'))
    }
    const found = complaints(systemdUnit(4005))
    if (found === undefined) return test.skip('this machine has no systemd-analyze')
    expect(found).toEqual([])
    expect(complaints(systemdUnit(4005).replace('LimitNOFILE', 'LimitNOFILES'))).not.toEqual([])
  })

  // Only Linux has all of 127.0.0.0/8 by itself.
  it.skipIf(process.platform !== 'linux')(
    'makes four authorities that order what a client sends, each started with what its unit says, as its README says',
    { timeout: 180_000 },
    async () => {
      const portFirst = await freePorts(4 * PORTS)
      const portOf = (index: number): number => portFirst + index * PORTS
      const hosts = [0, 1, 2, 3].map((index) => `127.0.0.${index + 1}:${portOf(index)}`)
      expect(narval('init', '--hosts', hosts.join(), '--out', 'out')).toMatchObject({ status: 0, stderr: '' })
      const machines = [0, 1, 2, 3].map((index) => new Machine(join(base, `machine-${index}`), index))
      for (const machine of machines) machine.install()
      for (const machine of machines) machine.start()
      for (const [index, machine] of machines.entries()) {
        await until(
          () => `authority ${index} is ready: ${machine.log}`,
          async () => {
            const answer = await fetch(`http://127.0.0.1:${portOf(index) + 5}/readyz`).catch(() => undefined)
            return answer?.status === 200
          },
          90_000,
        )
      }
      const client = await TestClient.connect(portOf(0) + 3)
      await client.send(10, 100)
      for (const machine of machines) {
        await until('the batch is in the log', () => machine.ordered().length > 0, 60_000)
      }
      const first = machines.map((machine) => machine.ordered()[0])
      expect(new Set(first).size).toBe(1)
      client.destroy()
      // The mark is taken away by the first start.
      for (const { store } of machines) expect(existsSync(join(store, 'primary/fresh'))).toBe(false)
    },
  )
})

/** A host, whose directories are below one of the test's. */
class Machine {
  log = ''
  readonly store: string
  private readonly root: string
  private readonly folder: string

  constructor(root: string, index: number) {
    this.root = root
    this.folder = join(root, 'narval')
    this.store = join(root, STORE_DIRECTORY, 'db')
    mkdirSync(join(root, 'etc/systemd/system'), { recursive: true })
    mkdirSync(join(root, 'var/lib'), { recursive: true })
    mkdirSync(join(root, 'opt'), { recursive: true })
    renameSync(join(base, 'out/hosts', `127.0.0.${index + 1}`), this.folder)
  }

  /** The commands of the README, but for those of a user of its own and of systemd. */
  install(): void {
    const readme = readFileSync(join(this.folder, 'README.md'), 'utf8')
    const [, block] = /^## With systemd\n.*?^```sh\n(.*?)^```/ms.exec(readme)!
    const commands = block!
      .split('\n')
      .filter((line) => /^sudo (?:install|mv) /.test(line))
      .map((line) =>
        line
          .replace(/^sudo /, '')
          .replace('-o narval -g narval ', '')
          .replaceAll(/ \/(?=etc|var)/g, ` ${this.root}/`),
      )
    expect(commands).toHaveLength(4)
    const { status, stderr } = spawnSync('sh', ['-ec', commands.join('\n')], { cwd: this.folder, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  }

  /** With the command, the directory and the environment of the unit. */
  start(): void {
    const unit = readFileSync(join(this.root, 'etc/systemd/system/narval.service'), 'utf8').replaceAll(/ \\\n +/g, ' ')
    const settingOf = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)![1]!
    const [program, ...args] = settingOf('ExecStart').split(' ')
    expect([program, settingOf('WorkingDirectory')]).toEqual(['/usr/bin/node', CONFIG_DIRECTORY])
    const mapped = args.map((word) =>
      word.startsWith(INSTALL_DIRECTORY)
        ? word.replace(INSTALL_DIRECTORY, ROOT)
        : word.startsWith(STORE_DIRECTORY)
          ? join(this.root, word)
          : word,
    )
    const child = spawn(process.execPath, mapped, {
      cwd: join(this.root, CONFIG_DIRECTORY),
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...Object.fromEntries([settingOf('Environment').split('=') as [string, string]]) },
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    const ended = once(child, 'close')
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
    })
  }

  /** What is in its log, batch by batch. */
  ordered(): string[] {
    return narval('log', '--store', this.store).stdout.match(/[\w+/]{43}=(?= {2}worker 0 of)/g) ?? []
  }
}
