/** A disk that fails a flush, for real: what the worker says, what it leaves, and what its next start does. */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FLUSH_FAILURE_FILE } from '../../src/shared/store/flush-failure.js'
import { testCommittee, until } from '../support/committee.js'
import { environmentOf } from '../support/preload.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

describe.each(['durable', 'stored'] as const)('with ack_level %s', (ackLevel) => {
  it('after an EIO the node ends, and the next start copies the store before it says anything to anybody', async (test) => {
    const broken = join(temporaryDirectory(), 'the-disk-is-broken')
    const environment = environmentOf({ flush: broken })
    if ('reason' in environment) return test.skip(environment.reason)
    const committee = await testCommittee({ nodes: 1, parameters: { ackLevel } })
    const node = committee.node(0)
    node.environment = environment as Record<string, string>
    await committee.start()
    const load = node.load(5, 2000)
    await until('batches are certified', () => node.primary.own.size >= 5)
    writeFileSync(broken, '')
    expect(await node.ended()).toEqual({ code: 1, signal: null })
    await load.stop().catch(() => {})
    const lines = node.log.trimEnd().split('\n')
    expect(lines.at(-1)).toMatch(/ERR_STORE_WRITE: .*(?:EIO|Input\/output error): the machine's log/)
    expect(lines.filter((line) => !/^\[\d{4}-/.test(line))).toEqual([])
    const record = join(node.store, FLUSH_FAILURE_FILE)
    expect(existsSync(record)).toBe(true)
    const reported = [...node.primary.own.keys()]

    // The disk is still broken: the copy cannot be flushed either, and nothing is promised on it.
    await expect(node.start()).rejects.toThrow(/ended while it booted/)
    expect(node.log.trimEnd().split('\n').at(-1)).toMatch(/^narval: ERR_STORE_WRITE: .*(?:EIO|Input\/output error): /)
    expect(existsSync(record)).toBe(true)
    expect([...node.primary.own.keys()]).toEqual(reported)

    const data = join(node.store, 'data.mdb')
    const { ino } = statSync(data)
    rmSync(broken)
    const before = node.log.length
    await node.start()
    const log = node.log.slice(before)
    expect(log.indexOf('copying the store to a new file')).toBeGreaterThan(-1)
    expect(log.indexOf('Copied and flushed')).toBeLessThan(log.indexOf('Listening for the primary'))
    expect(log).toMatch(/Read \d+ batches: 0 are damaged/)
    expect(statSync(data).ino).not.toBe(ino)
    expect(existsSync(record)).toBe(false)
    const stored = await node.readStore()
    expect(reported.filter((digest) => !stored.has(digest))).toEqual([])
    await until('all that is stored is reported', () => [...stored.keys()].every((name) => node.primary.own.has(name)))
    expect(await node.stop()).toEqual({ code: 0, signal: null })
  })
})
