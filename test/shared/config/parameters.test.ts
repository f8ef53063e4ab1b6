import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BATCH_SIZE_MIN } from '../../../src/shared/config/limits.js'
import {
  checkParameters,
  defaultParameters,
  formatParameters,
  type Parameters,
  parseParameters,
  readParameters,
} from '../../../src/shared/config/parameters.js'
import { BATCH_SIZE_MAX } from '../../../src/shared/constants.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

// What the reference's `fab local` writes.
const REFERENCE_FILE = `{
    "batch_size": 500000,
    "gc_depth": 50,
    "header_size": 1000,
    "max_batch_delay": 200,
    "max_header_delay": 200,
    "sync_retry_delay": 10000,
    "sync_retry_nodes": 3
}
`
const file = JSON.parse(REFERENCE_FILE) as Record<string, unknown>
const refused = (about: string) =>
  expect.objectContaining({ code: 'ERR_PARAMETERS_MALFORMED', message: expect.stringContaining(about) })

describe('without a file', () => {
  test('the defaults are those of the reference’s code, and narval’s own', () => {
    expect(defaultParameters()).toEqual({
      headerBytes: 1000,
      maxHeaderDelayMs: 100,
      gcDepthRounds: 50,
      syncRetryDelayMs: 5000,
      syncRetryNodes: 3,
      batchBytesMax: 500_000,
      maxBatchDelayMs: 100,
      ackLevel: 'durable',
      ackTimeoutMs: 30_000,
      ownSlots: 32,
      inboundSlotsPerPeer: 8,
      retentionRounds: 0,
      retentionCommits: 0,
      retentionBytes: 0,
      storeBytesMax: 64 * 1024 ** 3,
      clientConnectionsMax: 1024,
      clientIdleTimeoutMs: 30_000,
    })
  })
})

describe('a parameter file', () => {
  test('of the reference is read as it is, and written as its scripts write it', () => {
    const path = join(temporaryDirectory(), 'parameters.json')
    writeFileSync(path, REFERENCE_FILE)
    const parameters = readParameters(path)
    expect(parameters).toEqual({
      ...defaultParameters(),
      maxHeaderDelayMs: 200,
      syncRetryDelayMs: 10_000,
      maxBatchDelayMs: 200,
    })
    expect(formatParameters(parameters)).toBe(REFERENCE_FILE)
  })

  test('with all of narval’s own keys is read, written and read again', () => {
    const own = {
      ack_level: 'stored',
      ack_timeout: 1000,
      own_slots: 4,
      inbound_slots: 2,
      retention_rounds: 100,
      retention_commits: 7,
      retention_bytes: 2 ** 40,
      store_bytes_max: 64 * 1024 ** 2,
      client_connections_max: 1,
      client_idle_timeout: 5,
      network_key: '/keys/network.json',
    }
    const parameters = parseParameters({ ...file, ...own }, 'test')
    expect(parameters).toMatchObject({
      ackLevel: 'stored',
      ackTimeoutMs: 1000,
      ownSlots: 4,
      inboundSlotsPerPeer: 2,
      retentionRounds: 100,
      retentionCommits: 7,
      retentionBytes: 2 ** 40,
      storeBytesMax: 67_108_864,
      clientConnectionsMax: 1,
      clientIdleTimeoutMs: 5,
      networkKeyPath: '/keys/network.json',
    })
    expect(JSON.parse(formatParameters(parameters))).toEqual({ ...file, ...own })
  })

  test('names a network key relative to itself', () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'p.json'), JSON.stringify({ ...file, network_key: 'n.json' }))
    expect(readParameters(join(directory, 'p.json')).networkKeyPath).toBe(join(directory, 'n.json'))
  })

  test('has the defaults for what is not in it', () => {
    expect(parseParameters({}, 'test')).toEqual(defaultParameters())
    expect(parseParameters({ batch_size: 10_000 }, 'test')).toEqual({ ...defaultParameters(), batchBytesMax: 10_000 })
    for (const key of Object.keys(file)) {
      const { [key]: _, ...rest } = file
      expect(Object.keys(parseParameters(rest, 'test'))).toEqual(Object.keys(defaultParameters()))
    }
  })

  test.each([undefined, null, 'gc_depth', 7, []])('that is %j is refused', (json) => {
    expect(() => parseParameters(json, 'test')).toThrow(refused('test: expected object'))
  })

  test.each([
    ['header_size', 0],
    ['max_header_delay', 0],
    ['gc_depth', 0],
    ['gc_depth', -1],
    ['sync_retry_delay', '5000'],
    ['sync_retry_delay', 3_600_001],
    ['sync_retry_nodes', 257],
    ['batch_size', BATCH_SIZE_MIN - 1],
    ['batch_size', BATCH_SIZE_MAX + 1],
    ['batch_size', 500_000.5],
    ['batch_size', null],
    ['max_batch_delay', 1e300],
    ['ack_level', 'none'],
    ['ack_timeout', 0],
    ['own_slots', 3],
    ['own_slots', 1025],
    ['inbound_slots', 1],
    ['inbound_slots', 257],
    ['retention_rounds', -1],
    ['retention_rounds', 99],
    ['store_bytes_max', 64 * 1024 ** 2 - 1],
    ['client_connections_max', 0],
    ['client_idle_timeout', true],
    ['network_key', ''],
    ['network_key', 7],
  ])('with %s %j is refused, naming limit and value', (key, value) => {
    expect(() => parseParameters({ ...file, [key]: value }, 'test')).toThrow(refused(`test: ${key}: expected`))
    expect(() => parseParameters({ ...file, [key]: value }, 'test')).toThrow(refused(`found ${JSON.stringify(value)}`))
  })

  test('with the limits themselves is accepted', () => {
    const parameters = {
      ...file,
      batch_size: BATCH_SIZE_MIN,
      own_slots: 1024,
      inbound_slots: 256,
      retention_rounds: 100,
    }
    expect(parseParameters(parameters, 'test').batchBytesMax).toBe(BATCH_SIZE_MIN)
    expect(parseParameters({ ...file, batch_size: BATCH_SIZE_MAX }, 'test').batchBytesMax).toBe(BATCH_SIZE_MAX)
  })

  test('with an unknown key is refused', () => {
    expect(() => parseParameters({ ...file, batchSize: 1 }, 'test')).toThrow(refused('test: unknown "batchSize"'))
  })

  test('that is missing says what goes into it, and that it may be left out', () => {
    const path = join(temporaryDirectory(), 'p.json')
    expect(() => readParameters(path)).toThrow(expect.objectContaining({ code: 'ERR_FILE_MISSING' }))
    expect(() => readParameters(path)).toThrow('or leave out --parameters')
  })
})

describe('parameters of a program', () => {
  test('have the defaults for what is not given, or undefined', () => {
    expect(checkParameters({}, 'options')).toEqual(defaultParameters())
    expect(checkParameters({ ownSlots: 4 }, 'options')).toEqual({ ...defaultParameters(), ownSlots: 4 })
    const missing = { ownSlots: undefined } as unknown as Partial<Parameters>
    expect(checkParameters(missing, 'options')).toEqual(defaultParameters())
  })

  test('are named as their fields are', () => {
    expect(() => checkParameters({ ownSlots: 3 }, 'options')).toThrow(
      refused('options: ownSlots: expected an integer from 4 to 1024, found 3'),
    )
    const misspelt = { own_slots: 4 } as Partial<Parameters>
    expect(() => checkParameters(misspelt, 'options')).toThrow(refused('options: unknown "own_slots"'))
  })

  test('are checked against each other', () => {
    expect(() => checkParameters({ retentionRounds: 99 }, 'options')).toThrow(
      refused('options: retentionRounds: expected 0, or at least 100, twice gcDepthRounds; found 99'),
    )
    expect(checkParameters({ retentionRounds: 100 }, 'options').retentionRounds).toBe(100)
    expect(() =>
      checkParameters({ ownSlots: 1024, batchBytesMax: 8_388_608, storeBytesMax: 2 ** 30 }, 'options'),
    ).toThrow(refused('options: storeBytesMax: expected at least'))
  })
})
