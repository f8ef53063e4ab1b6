/** Names and what they stand for, with a resolver that does what it is told. */
import { describe, expect, test, vi } from 'vitest'
import { HostNames } from '../../../src/main/names/host-names.js'
import {
  NAME_ADDRESSES_MAX,
  NAME_FRESH_MS,
  NAME_HANGING_MAX,
  NAME_LINE_MS,
  NAME_LOG_MS,
  NAME_LOOKUPS_MAX,
  NAME_REFRESH_MS,
  NAME_SLOW_LOOKUPS_MAX,
  NAME_SLOW_MS,
  NAME_WAIT_MS,
} from '../../../src/main/names/limits.js'
import { addressToBind, everyAddressFor, loopbackFor } from '../../../src/main/names/own-address.js'

/** A resolver with answers by name; it answers at once, or when `answer` is called. */
class Resolver {
  readonly answers = new Map<string, readonly string[] | string>()
  readonly asked: string[] = []
  readonly open = new Map<string, () => void>()
  hangs: (name: string) => boolean = () => false
  nowMs = 1_000_000
  readonly log: string[] = []
  readonly names: HostNames

  constructor() {
    const line = (level: string) => (text: string) => void this.log.push(`${level} ${text}`)
    const log = { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug'), trace: () => {} }
    this.names = new HostNames({ log, nowMs: () => this.nowMs, lookup: (name) => this.lookup(name) })
  }

  private async lookup(name: string): Promise<readonly string[]> {
    this.asked.push(name)
    if (this.hangs(name)) await new Promise<void>((resolve) => this.open.set(name, resolve))
    const answer = this.answers.get(name) ?? 'ENOTFOUND'
    if (typeof answer === 'string') throw Object.assign(new Error(`getaddrinfo ${answer} ${name}`), { code: answer })
    return answer
  }

  /** A question that hangs has its answer after so long. */
  answer(name: string, tookMs: number): void {
    this.nowMs += tookMs
    this.open.get(name)!()
    this.open.delete(name)
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a name', () => {
  test('is asked about again when it is wanted, but not more than once in a while, however many want it', async () => {
    const resolver = new Resolver()
    resolver.answers.set('w', ['10.0.0.1'])
    expect(await Promise.all([resolver.names.resolve('w'), resolver.names.resolve('w')])).toEqual([
      ['10.0.0.1'],
      ['10.0.0.1'],
    ])
    resolver.answers.set('w', ['10.0.0.2'])
    expect(await resolver.names.resolve('w')).toEqual(['10.0.0.1'])
    expect(resolver.asked).toHaveLength(1)
    resolver.nowMs += NAME_FRESH_MS
    expect(await resolver.names.resolve('w')).toEqual(['10.0.0.2'])
    expect(resolver.log).toEqual(['info The name w is now 10.0.0.2; it was 10.0.0.1'])
    expect(await resolver.names.resolve('10.9.9.9')).toEqual(['10.9.9.9'])
    expect(resolver.asked).toHaveLength(2)
  })

  test('keeps its last address while the resolver is down; it is not trusted once the resolver knows no such name', async () => {
    const resolver = new Resolver()
    resolver.answers.set('w', ['10.0.0.1'])
    await resolver.names.resolve('w')
    resolver.nowMs += NAME_LINE_MS
    resolver.answers.set('w', 'EAI_AGAIN')
    expect(await resolver.names.resolve('w')).toEqual(['10.0.0.1'])
    expect(resolver.names.trusted('w')).toEqual(['10.0.0.1'])
    resolver.nowMs += NAME_LINE_MS
    resolver.answers.set('w', 'ENOTFOUND')
    expect(await resolver.names.resolve('w')).toEqual(['10.0.0.1'])
    expect(resolver.names.trusted('w')).toEqual([])
    expect(resolver.log).toEqual([
      'warn The name w does not resolve (EAI_AGAIN): it is asked about again; until then it is 10.0.0.1',
    ])
    // A resolver that stays down, and a name that comes and goes, have a line now and then.
    for (let second = 0; second < 600; second += 1) {
      resolver.nowMs += 1_000
      resolver.answers.set('w', second % 2 === 0 ? 'EAI_AGAIN' : [`10.0.0.${second % 3}`])
      await resolver.names.resolve('w')
    }
    expect(resolver.log.length).toBeLessThanOrEqual(1 + 600_000 / NAME_LINE_MS)
    resolver.log.length = 0
    resolver.answers.set('w', 'EAI_AGAIN')
    for (let second = 0; second < 600; second += 1) {
      resolver.nowMs += 1_000
      await resolver.names.resolve('w')
    }
    expect(resolver.log.length).toBeLessThanOrEqual(1 + 600_000 / NAME_LOG_MS)
  })

  test('whose change could not be said at once has it said later', async () => {
    const resolver = new Resolver()
    const ask = async (answer: readonly string[] | string, afterMs: number): Promise<void> => {
      resolver.nowMs += afterMs
      resolver.answers.set('w', answer)
      await resolver.names.resolve('w')
    }
    await ask('ENOTFOUND', 0)
    await ask(['10.0.0.1'], NAME_FRESH_MS)
    await ask(['10.0.0.1'], NAME_LINE_MS)
    await ask(['10.0.0.2'], NAME_FRESH_MS)
    await ask(['10.0.0.2'], NAME_LINE_MS)
    await ask(['10.0.0.2'], NAME_LINE_MS)
    expect(resolver.log).toEqual([
      'warn The name w does not resolve (ENOTFOUND): it is asked about again',
      'info The name w is now 10.0.0.1',
      'info The name w is now 10.0.0.2; it was 10.0.0.1',
    ])
  })

  test('has so many addresses at most, each once, and none that are not numeric', async () => {
    const resolver = new Resolver()
    const many = Array.from({ length: 20 }, (_, i) => `10.0.1.${i}`)
    resolver.answers.set('w', ['localhost', many[0]!, ...many])
    expect(await resolver.names.resolve('w')).toEqual(many.slice(0, NAME_ADDRESSES_MAX))
  })

  test('that is watched is asked about now and then, and whoever watches is told of a change, once', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const resolver = new Resolver()
      let told = 0
      resolver.answers.set('w', ['10.0.0.1', '10.0.0.2'])
      resolver.names.watch(['w', '10.1.1.1'], () => {
        told += 1
      })
      await turn()
      expect([told, resolver.names.trusted('w')]).toEqual([1, ['10.0.0.1', '10.0.0.2']])
      const pass = async (answer: readonly string[] | string): Promise<number> => {
        resolver.answers.set('w', answer)
        resolver.nowMs += NAME_REFRESH_MS
        vi.advanceTimersByTime(NAME_REFRESH_MS)
        await turn()
        return told
      }
      expect(await pass(['10.0.0.2', '10.0.0.1'])).toBe(1)
      expect(await pass(['10.0.0.3'])).toBe(2)
      expect(await pass('EAI_AGAIN')).toBe(2)
      expect(await pass('ENOTFOUND')).toBe(3)
      expect(await pass(['10.0.0.3'])).toBe(4)
      resolver.names.close()
      expect(await pass(['10.0.0.4'])).toBe(4)
      expect(resolver.asked.every((name) => name === 'w')).toBe(true)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a resolver that hangs', () => {
  test('is asked a few questions at a time, and whoever wants an answer goes on with the last one', async () => {
    const resolver = new Resolver()
    resolver.answers.set('w', ['10.0.0.1'])
    await resolver.names.resolve('w')
    resolver.nowMs += NAME_FRESH_MS
    resolver.hangs = () => true
    const began = performance.now()
    const all = await Promise.all(['w', 'a', 'b', 'c'].map((name) => resolver.names.resolve(name)))
    expect(all).toEqual([['10.0.0.1'], [], [], []])
    expect(performance.now() - began).toBeGreaterThan(NAME_WAIT_MS - 50)
    // After a moment those that hang have given their places to the others.
    expect(resolver.asked).toEqual(['w', 'w', 'a', 'b', 'c'])
    expect(
      resolver.log.filter((line) => line.startsWith(`warn The name w does not resolve (no answer in`)),
    ).toHaveLength(1)
    resolver.names.close()
    expect(await resolver.names.resolve('w')).toEqual(['10.0.0.1'])
  })

  test('for names that nothing is known of yet delays those behind them by a moment', async () => {
    const resolver = new Resolver()
    const hanging = Array.from({ length: NAME_HANGING_MAX }, (_, i) => `h${i}`)
    resolver.hangs = (name) => hanging.includes(name)
    // As at the start: all are asked for at once, those that hang first.
    for (const name of hanging) void resolver.names.resolve(name)
    const quick = ['q1', 'q2', 'q3']
    for (const name of quick) resolver.answers.set(name, ['10.0.0.9'])
    await turn()
    expect(resolver.asked).toEqual(hanging.slice(0, NAME_LOOKUPS_MAX))
    resolver.names.watch(quick, () => {})
    await vi.waitFor(() => expect(quick.flatMap((name) => resolver.names.known(name))).toHaveLength(3), 10_000)
    expect(resolver.open.size).toBe(NAME_HANGING_MAX)
    // They hang on, and the others are asked about again at once.
    resolver.nowMs += NAME_FRESH_MS
    expect(await resolver.names.resolve('q1')).toEqual(['10.0.0.9'])
    expect(resolver.asked.filter((name) => name === 'q1')).toHaveLength(2)
    resolver.names.close()
  })

  test('for ever and for many has so many questions at most, and goes on when one of them is answered', async () => {
    const resolver = new Resolver()
    const hanging = Array.from({ length: 20 }, (_, i) => `h${i}`)
    resolver.hangs = (name) => hanging.includes(name)
    for (const name of hanging) void resolver.names.resolve(name)
    const questionsMax = NAME_LOOKUPS_MAX + NAME_HANGING_MAX
    await vi.waitFor(() => expect(resolver.open.size).toBe(questionsMax), 10_000)
    await new Promise((resolve) => setTimeout(resolve, 2 * NAME_SLOW_MS))
    expect(resolver.open.size).toBe(questionsMax)
    resolver.answers.set('q', ['10.0.0.9'])
    const answer = resolver.names.resolve('q')
    // Its place goes to the next of those that are not known to be slow.
    resolver.answer('h0', 60_000)
    await vi.waitFor(() => expect(resolver.asked).toContain(`h${questionsMax}`), 10_000)
    for (const name of resolver.open.keys()) resolver.answer(name, 60_000)
    for (let n = 0; n < 20; n += 1) {
      await turn()
      for (const name of resolver.open.keys()) resolver.answer(name, 60_000)
    }
    await answer
    expect(resolver.names.known('q')).toEqual(['10.0.0.9'])
    expect(new Set(resolver.asked)).toEqual(new Set([...hanging, 'q']))
    resolver.names.close()
  })

  test('for some names leaves room for the others', async () => {
    const resolver = new Resolver()
    const slow = ['s1', 's2', 's3']
    resolver.hangs = (name) => slow.includes(name)
    for (const name of slow) {
      void resolver.names.resolve(name)
      await turn()
      resolver.answer(name, NAME_SLOW_MS)
      await turn()
    }
    resolver.nowMs += NAME_FRESH_MS
    for (const name of slow) void resolver.names.resolve(name)
    await turn()
    expect(resolver.open.size).toBe(NAME_SLOW_LOOKUPS_MAX)
    for (const name of ['q1', 'q2', 'q3']) {
      resolver.answers.set(name, ['10.0.0.9'])
      expect(await resolver.names.resolve(name)).toEqual(['10.0.0.9'])
    }
    // And the slow ones have their turns.
    for (let left = slow.length; left > 0; left -= 1) {
      expect(resolver.open.size).toBe(NAME_SLOW_LOOKUPS_MAX)
      resolver.answer([...resolver.open.keys()][0]!, NAME_SLOW_MS)
      await turn()
    }
    expect(new Set(resolver.asked.slice(-6))).toEqual(new Set([...slow, 'q1', 'q2', 'q3']))
  })
})

describe('for net.connect', () => {
  const look = (names: HostNames, options: object) =>
    new Promise((resolve) => {
      names.lookup('w', options, (error, address, family) => resolve(error?.message ?? [address, family]))
    })

  test('a name has all of its addresses, or one of a family, or an error that says what is wrong', async () => {
    const resolver = new Resolver()
    resolver.answers.set('w', ['fd00::1', '10.0.0.1'])
    expect(await look(resolver.names, { all: true })).toEqual([
      [
        { address: 'fd00::1', family: 6 },
        { address: '10.0.0.1', family: 4 },
      ],
      undefined,
    ])
    expect(await look(resolver.names, { family: 4 })).toEqual(['10.0.0.1', 4])
    expect(await look(new Resolver().names, { all: true })).toBe('the name w does not resolve: ENOTFOUND')
  })
})

describe('where a worker listens', () => {
  const names = (answers: Record<string, readonly string[] | string>): HostNames => {
    const resolver = new Resolver()
    for (const [name, answer] of Object.entries(answers)) resolver.answers.set(name, answer)
    return resolver.names
  }

  test('is the address of the name that it is given, in the family by which others know it', async () => {
    const both = names({ me: ['::1', '127.0.0.1'], six: ['fd00::1'] })
    expect(await addressToBind('bind', '10.0.0.1', 'six', both)).toBe('10.0.0.1')
    expect(await addressToBind('bind', 'me', '10.0.0.1', both)).toBe('127.0.0.1')
    expect(await addressToBind('bind', 'me', 'six', both)).toBe('::1')
    expect(await addressToBind('bind', 'me', 'nowhere', both)).toBe('127.0.0.1')
    expect(await addressToBind('bind', 'six', '10.0.0.1', both)).toBe('fd00::1')
    await expect(addressToBind('bind', 'nowhere', undefined, both)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_ADDRESS_UNAVAILABLE',
        message: expect.stringMatching(/^bind nowhere: the name does not resolve \(ENOTFOUND\): give an address/),
      }),
    )
  })

  test('without one is every interface or loopback, of IPv6 only where it is known by nothing else', async () => {
    const all = { both: ['::1', '10.0.0.1'], six: ['fd00::1'] }
    expect(await everyAddressFor(['both', 'four'], names(all))).toBe('0.0.0.0')
    expect(await everyAddressFor(['both', 'six'], names(all))).toBe('::')
    expect(await loopbackFor('six', names(all))).toBe('::1')
    expect(await loopbackFor('nowhere', names(all))).toBe('127.0.0.1')
  })
})

test('the system’s resolver knows localhost, and does not know what is invalid', async () => {
  const names = new HostNames()
  expect((await names.resolve('localhost')).some((address) => ['127.0.0.1', '::1'].includes(address))).toBe(true)
  expect(await names.resolve('no-such-name.invalid')).toEqual([])
})
