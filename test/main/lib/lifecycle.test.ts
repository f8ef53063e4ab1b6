import { describe, expect, test } from 'vitest'
import { type Ending, Lifecycle } from '../../../src/main/lib/lifecycle.js'

/** A lifecycle with three things open, and what was closed how. */
async function threeOpen(closing: (name: string) => void | Promise<void> = () => {}) {
  const lifecycle = new Lifecycle()
  const closed: string[] = []
  for (const name of ['store', 'network', 'clients']) {
    await lifecycle.open(
      name,
      () => name,
      async (opened, ending: Ending) => {
        closed.push(`${opened} ${ending}`)
        await closing(opened)
      },
    )
  }
  return { lifecycle, closed }
}

describe('close', () => {
  test('closes from the end, each after the one before has closed, and once however often it is called', async () => {
    const { lifecycle, closed } = await threeOpen(() => new Promise((resolve) => setImmediate(resolve)))
    expect(lifecycle.isOpen).toBe(true)
    const first = lifecycle.close()
    expect(lifecycle.isOpen).toBe(false)
    await Promise.all([first, lifecycle.close(), lifecycle.stopped])
    expect(closed).toEqual(['clients in-order', 'network in-order', 'store in-order'])
  })

  test('goes on after what fails to close, and rejects with the first failure, as stopped does', async () => {
    const { lifecycle, closed } = await threeOpen((name) => {
      if (name !== 'store') throw new Error(`${name} is stuck`)
    })
    await expect(lifecycle.close()).rejects.toThrow('clients is stuck')
    await expect(lifecycle.stopped).rejects.toThrow('clients is stuck')
    expect(closed).toEqual(['clients in-order', 'network failed', 'store failed'])
  })
})

describe('fail', () => {
  test('closes the same list from the same end, as failed, and stopped rejects with why', async () => {
    const { lifecycle, closed } = await threeOpen()
    lifecycle.fail(new Error('the disk is gone'))
    await expect(lifecycle.stopped).rejects.toThrow('the disk is gone')
    expect(closed).toEqual(['clients failed', 'network failed', 'store failed'])
    expect(lifecycle.error?.message).toBe('the disk is gone')
  })

  test('in the middle of an orderly end turns what is left into a failed end', async () => {
    const { lifecycle, closed } = await threeOpen((name) => {
      if (name === 'network') lifecycle.fail(new Error('a thread died'))
    })
    await expect(lifecycle.close()).rejects.toThrow('a thread died')
    expect(closed).toEqual(['clients in-order', 'network in-order', 'store failed'])
  })

  test('the first failure counts', async () => {
    const { lifecycle } = await threeOpen()
    lifecycle.fail(new Error('first'))
    lifecycle.fail(new Error('second'))
    await expect(lifecycle.stopped).rejects.toThrow('first')
  })
})

describe('open', () => {
  test('what was being opened when the end was asked for is waited for, closed first, and the start rejects', async () => {
    const { lifecycle, closed } = await threeOpen()
    let opened!: () => void
    const slow = lifecycle.open(
      'slow',
      () =>
        new Promise<void>((resolve) => {
          opened = resolve
        }),
      () => void closed.push('slow'),
    )
    const end = lifecycle.close()
    opened()
    await expect(slow).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await end
    // Before what it may need.
    expect(closed[0]).toBe('slow')
    await expect(
      lifecycle.open(
        'late',
        () => expect.unreachable('opened'),
        () => {},
      ),
    ).rejects.toMatchObject({
      code: 'ERR_CLOSED',
    })
  })

  test('of several that are opened at once each is waited for, and what they may need is closed after them', async () => {
    const { lifecycle, closed } = await threeOpen()
    const opens: (() => void)[] = []
    const opened = ['first', 'second'].map((name) =>
      lifecycle.open(
        name,
        () => new Promise<void>((resolve) => opens.push(resolve)),
        () => void closed.push(name),
      ),
    )
    const ends = opened.map((one) => expect(one).rejects.toMatchObject({ code: 'ERR_CLOSED' }))
    const closing = lifecycle.close()
    // The one that began last is the first to be there.
    opens[1]!()
    await ends[1]
    await new Promise((resolve) => setImmediate(resolve))
    expect(closed).toEqual([])
    opens[0]!()
    await Promise.all([closing, ...ends])
    expect(closed).toEqual(['first', 'second', 'clients in-order', 'network in-order', 'store in-order'])
  })

  test('what does not open is not closed', async () => {
    const { lifecycle, closed } = await threeOpen()
    const refused = lifecycle.open(
      'refused',
      () => Promise.reject(new Error('no')),
      () => void closed.push('refused'),
    )
    await expect(refused).rejects.toThrow('no')
    await lifecycle.close()
    expect(closed).toHaveLength(3)
  })
})
