import { describe, expect, it } from 'vitest'
import { type HostFlags, parseHosts, portsOfHost } from '../../../src/main/init/hosts.js'
import { hostReadme, lossesSurvived, lossesText } from '../../../src/main/init/readme.js'
import { parseCommittee } from '../../../src/shared/config/committee.js'
import { placedCommittee } from '../../../src/shared/config/committee-file.js'
import { keysOf } from '../../../src/shared/config/keys.js'

const parse = (hosts: string, flags: Partial<HostFlags> = {}) =>
  parseHosts({ hosts, workers: 1, basePort: 4000, ...flags })

describe('the hosts of a new committee', () => {
  it('are names and addresses, with a first port of their own or the common one', () => {
    expect(parse('10.0.0.1, W.Example.org.,FD00:0::7,[fd00::8]:5000,10.0.0.2:6000', { stake: '1,2,3,4,5' })).toEqual([
      { host: '10.0.0.1', portFirst: 4000, stake: 1, folder: '10.0.0.1' },
      { host: 'w.example.org', portFirst: 4000, stake: 2, folder: 'w.example.org' },
      { host: 'fd00::7', portFirst: 4000, stake: 3, folder: 'ip6-fd00--7' },
      { host: 'fd00::8', portFirst: 5000, stake: 4, folder: 'ip6-fd00--8' },
      { host: '10.0.0.2', portFirst: 6000, stake: 5, folder: '10.0.0.2' },
    ])
  })

  it.each<[string, string, Partial<HostFlags>, RegExp]>([
    ['none', '', {}, /--hosts: "": expected an IP address or a name/],
    ['an empty one', 'a,b,,d', {}, /"": expected/],
    ['half an address', 'a,b,c,10.0.0', {}, /"10.0.0": expected/],
    ['a port that is none', 'a,b,c,10.0.0.1:70000', {}, /"10.0.0.1:70000": expected/],
    ['a path', 'a,b,c,../d', {}, /"..\/d": expected/],
    ['a line', 'a,b,c,d\ne', {}, /"d\\ne": expected/],
    ['an address with a zone', 'a,b,c,fe80::1%eth0', {}, /expected/],
    ['too few', 'a,b,c', {}, /--hosts: 3 of them, .* name 4 or more/],
    ['too many', Array.from({ length: 257 }, (_, n) => `h${n}`).join(), {}, /257 hosts, .* at most 256/],
    ['the same name twice', 'a,b,c,A.', {}, /a is there twice/],
    ['the same address twice', 'a,b,fd00::7,[fd00:0::7]:5000', {}, /fd00::7 is there twice/],
    ['two that would share a folder', 'a,b,fd00::7,ip6-fd00--7', {}, /ip6-fd00--7 is there twice/],
    ['every address', '0.0.0.0,127.0.0.2,127.0.0.3,127.0.0.4', {}, /0\.0\.0\.0 is no host/],
    ['loopback among others', 'a,b,c,localhost', {}, /localhost is no host that the others could reach/],
    ['the link', 'a,b,c,169.254.1.1', {}, /169\.254\.1\.1 is no host that the others could reach/],
    [
      'ports that one machine would need twice',
      '127.0.0.1,127.0.0.2:4005,127.0.0.3:5000,127.0.0.4:6000',
      {},
      /one machine, where each needs 6 ports/,
    ],
    ['a first port too low', 'a,b,c,d:1023', {}, /ports of d begin at 1023: expected 1024 to 65530, since 6/],
    ['a first port too high', 'a,b,c,d:65531', {}, /ports of d begin at 65531: expected 1024 to 65530/],
    ['workers that need more ports', 'a,b,c,d', { basePort: 65_527, workers: 2 }, /expected 1024 to 65527|^$/],
    ['too few stakes', 'a,b,c,d', { stake: '1,1,1' }, /--stake: 3 stakes for 4 hosts/],
    ['a stake of nothing', 'a,b,c,d', { stake: '1,1,1,0' }, /--stake: "0": expected an integer from 1/],
    ['a stake that is none', 'a,b,c,d', { stake: '1,1,1,1.5' }, /--stake: "1.5"/],
  ])('are refused in one line: %s', (name, hosts, flags, message) => {
    if (name === 'workers that need more ports') {
      expect(parse(hosts, flags)).toHaveLength(4)
      expect(() => parse(hosts, { ...flags, basePort: 65_528 })).toThrow(message)
      return
    }
    expect(() => parse(hosts, flags)).toThrow(expect.objectContaining({ code: 'ERR_USAGE' }))
    expect(() => parse(hosts, flags)).toThrow(message)
    expect(() => parse(hosts, flags)).toThrow(/^[^\n]*$/)
  })

  it('may all be one machine, with ports that are apart', () => {
    const hosts = parse('127.0.0.1:4000,127.0.0.2:4006,127.0.0.3:4012,127.0.0.4:4018')
    expect(hosts.map(({ portFirst }) => portFirst)).toEqual([4000, 4006, 4012, 4018])
  })

  it('are a committee, whose ports are those that the README of each host names', () => {
    const hosts = parse('10.0.0.1,b.example,fd00::7,10.0.0.2:6000', { workers: 2, stake: '1,2,3,4' }).map(
      (host, index) => ({ ...host, name: keysOf(new Uint8Array(32).fill(index + 1)).name }),
    )
    const committee = parseCommittee(placedCommittee(hosts, 2), 'test')
    expect(committee.totalStake).toBe(10)
    for (const host of hosts) {
      const index = committee.authorities.findIndex(({ name }) => name === host.name)
      const { primaryToPrimary, workerToPrimary } = committee.primary(index)
      const workers = [0, 1].map((id) => committee.worker(index, id))
      const places = [
        primaryToPrimary,
        workerToPrimary,
        ...workers.flatMap(({ primaryToWorker, transactions, workerToWorker }) => [
          primaryToWorker,
          transactions,
          workerToWorker,
        ]),
      ]
      expect(places.map(({ host }) => host)).toEqual(places.map(() => host.host))
      const metrics = host.portFirst + portsOfHost(2) - 1
      const readme = hostReadme(host, 2)
      const named = Array.from(readme.matchAll(/^\| (\d+) \|/gm), ([, port]) => Number(port))
      expect(named).toEqual([...places.map(({ port }) => port), metrics])
      expect(readme).toContain(`http://127.0.0.1:${metrics}/readyz`)
    }
  })

  it.each([
    [[1, 1, 1, 1], 1],
    [[1, 1, 1, 1, 1, 1], 1],
    [[1, 1, 1, 1, 1, 1, 1], 2],
    [[10, 1, 1, 1], 0],
    [[3, 1, 3, 1], 0],
    [[2, 2, 2, 2, 1], 1],
  ])('with stakes of %j survive the loss of any %i', (stakes, losses) => {
    const hosts = stakes.map((stake, index) => ({ stake, host: `h${index}` }))
    expect(lossesSurvived(hosts)).toBe(losses)
    if (losses === 0) expect(lossesText(hosts)).toBe('without h0 nothing is ordered')
  })
})
