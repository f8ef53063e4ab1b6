/** A thread of a running worker dies: everything that waits for it hears of it, and everything is closed. */
import { expect, test } from 'vitest'
import type { HostedThread } from '../../../src/main/thread-host/threads.js'
import { isClosed, startNode } from '../../support/started-node.js'
import { until } from '../../support/until.js'

test.each<HostedThread>(['batch-maker', 'processor', 'quorum-waiter'])(
  'the %s dies: stopped says so, what was asked is refused at once, readers end, health fails, the ports are closed',
  async (name) => {
    const { node, ports } = await startNode()
    const reader = node.certified[Symbol.asyncIterator]().next()
    const asked = node.read(new Uint8Array(32)).catch((error: unknown) => error)
    // As a crash would end it: nobody has asked it to.
    const { running } = (node as unknown as { threads: { running: Map<string, { terminate(): Promise<void> }> } })
      .threads
    await running.get(name)!.terminate()
    await expect(node.stopped).rejects.toMatchObject({ code: 'ERR_THREAD_DIED' })
    // Answered before the death or refused by it, but never left alone.
    expect([undefined, 'ERR_CLOSED']).toContain(((await asked) as { code?: string } | undefined)?.code)
    await expect(node.read(new Uint8Array(32))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(node.submit(new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(await reader).toEqual({ done: true, value: undefined })
    expect(node.health().ok).toBe(false)
    for (const port of ports) {
      await until(`port ${port} is closed`, () => isClosed(port))
    }
  },
)
