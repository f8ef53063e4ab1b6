/** Network namespaces of Linux, joined by one switch: machines of their own, as far as the network goes. */
import { spawnSync } from 'node:child_process'

/** Why there can be none here; undefined if there can. */
export function namespaceProblem(): string | undefined {
  if (process.platform !== 'linux') return `this is ${process.platform}`
  const name = `narval-probe-${process.pid}`
  const steps = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', 'switch', 'type', 'bridge'],
  ]
  const failed = steps.map((args) => spawnSync('ip', args, { encoding: 'utf8' })).find(({ status }) => status !== 0)
  spawnSync('ip', ['netns', 'del', name])
  if (failed === undefined) return undefined
  return failed.error?.message ?? failed.stderr.trim()
}

export class Namespaces {
  private readonly prefix = `narval-${process.pid}`
  private readonly names: string[] = []

  /** `count` machines, the first of them at `10.77.0.1` and `fd77::1`. */
  constructor(count: number) {
    const hub = this.add('switch')
    this.ip('-n', hub, 'link', 'add', 'switch', 'type', 'bridge')
    this.ip('-n', hub, 'link', 'set', 'switch', 'up')
    for (let index = 0; index < count; index += 1) {
      const name = this.add(String(index))
      this.ip('-n', name, 'link', 'add', 'net', 'type', 'veth', 'peer', 'name', `port${index}`, 'netns', hub)
      this.ip('-n', hub, 'link', 'set', `port${index}`, 'master', 'switch', 'up')
      this.ip('-n', name, 'addr', 'add', `${this.address(index)}/24`, 'dev', 'net')
      // Without a look whether somebody else has it: nobody has, and it would be there only a second later.
      this.ip('-n', name, '-6', 'addr', 'add', `${this.address6(index)}/64`, 'dev', 'net', 'nodad')
      this.ip('-n', name, 'link', 'set', 'lo', 'up')
      this.ip('-n', name, 'link', 'set', 'net', 'up')
    }
  }

  address(index: number): string {
    return `10.77.0.${index + 1}`
  }

  address6(index: number): string {
    return `fd77::${index + 1}`
  }

  /** The beginning of a command line that runs the rest there. */
  within(index: number): readonly string[] {
    return ['ip', 'netns', 'exec', `${this.prefix}-${index}`]
  }

  close(): void {
    for (const name of this.names.splice(0)) spawnSync('ip', ['netns', 'del', name])
  }

  private add(name: string): string {
    const whole = `${this.prefix}-${name}`
    this.ip('netns', 'add', whole)
    this.names.push(whole)
    return whole
  }

  private ip(...args: string[]): void {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
    if (status === 0) return
    this.close()
    throw new Error(`ip ${args.join(' ')}: ${stderr}`)
  }
}
