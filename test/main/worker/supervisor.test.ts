/** What throws on main is the worker's failure. An exception that escapes would fail this file: vitest sees it. */
import { describe, test } from 'vitest'
import { bug, expectFailure, type StartedNode, startNode } from '../../support/started-node.js'

/** The parts of a worker that a test makes fail, as a bug of ours would. */
interface Insides {
  readonly wiring: {
    readonly threadMessages: { poll: () => number }
    readonly gate: { recheck: () => void }
    readonly inbound: { flush: () => void }
    readonly refusals: { refused(kind: 'peer', reason: 'hello-timeout', from: string, detail: string): void }
    readonly synchronizer: { tick: () => void }
    readonly reports: { onDelivered(digests: Uint8Array[]): void }
    readonly processor: { ask: (request: { readonly type: string }) => Promise<unknown> }
  }
  readonly network: {
    onConnection: () => void
    readonly dependencies: { readonly node: { safeDispatchEvent(type: string, detail: object): void } }
  }
}
const insidesOf = (node: StartedNode): Insides => node as unknown as Insides

describe('a bug of ours ends the worker with a reason, and not the process', () => {
  test.each<[string, string, (insides: Insides, node: StartedNode) => void]>([
    [
      'what takes the messages of other threads',
      'the rings',
      ({ wiring }, node) => {
        wiring.threadMessages.poll = bug
        void node.submit(new Uint8Array(10))
      },
    ],
    [
      'a stage that such a message is for',
      'the rings',
      ({ wiring }, node) => {
        wiring.inbound.flush = bug
        void node.submit(new Uint8Array(10))
      },
    ],
    [
      'the tick',
      'a tick',
      ({ wiring }) => {
        wiring.gate.recheck = bug
      },
    ],
    [
      'a stage’s own timer',
      'the synchronizer',
      ({ wiring }) => {
        wiring.synchronizer.tick = bug
      },
    ],
    [
      'a promise that nobody waits for',
      'marking what was reported',
      ({ wiring }) => {
        const ask = wiring.processor.ask.bind(wiring.processor)
        wiring.processor.ask = async (request) => (request.type === 'reported' ? bug() : ask(request))
        wiring.reports.onDelivered([new Uint8Array(32)])
      },
    ],
    [
      'what libp2p calls',
      'a connection',
      ({ network }) => {
        network.onConnection = bug
        network.dependencies.node.safeDispatchEvent('connection:open', { detail: {} })
      },
    ],
  ])('%s', async (_, about, cause) => {
    const { node, ports } = await startNode()
    cause(insidesOf(node), node)
    await expectFailure(node, ports, about)
  })
})

describe('a logger that fails ends the worker with a reason', () => {
  const say = (node: StartedNode): void =>
    insidesOf(node).wiring.refusals.refused('peer', 'hello-timeout', 'somebody', 'a detail')

  test('by throwing', async () => {
    const { node, ports } = await startNode({ warn: bug })
    say(node)
    await expectFailure(node, ports, 'log.warn')
  })

  test('by a promise that rejects', async () => {
    const { node, ports } = await startNode({ warn: async () => bug() })
    say(node)
    await expectFailure(node, ports, 'log.warn')
  })
})
