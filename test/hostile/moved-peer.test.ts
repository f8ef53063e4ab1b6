/** A peer whose host vanished, and which is back from elsewhere before anybody has noticed. */
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../support/free-ports.js'
import { startFreezingProxy } from '../support/freezing-proxy.js'
import { until } from '../support/until.js'
import { WorkerUnderTest } from '../support/worker-under-test.js'

test.each(['the peer', 'the worker'])(
  'a peer that moved is served on its new connection at once, though nobody has noticed that the one %s dialled is dead',
  async (dialler) => {
    const node = await WorkerUnderTest.start()
    onTestFinished(() => node.close())
    await node.honest(1, 2)
    const port = Number(node.address.split('/').at(-1))
    const peerPort = await freePorts(1)
    const before = await node.peer(3, { port: peerPort })
    // The worker dials the committee file's address; the proxy stands there, or before the worker.
    const proxy = await (dialler === 'the worker'
      ? startFreezingProxy(peerPort, Number(node.addressOf(3).split('/').at(-1)))
      : startFreezingProxy(port))
    onTestFinished(() => proxy.close())
    if (dialler === 'the peer') await before.connect(`/ip4/127.0.0.1/tcp/${proxy.port}`)
    await until('the worker has opened its stream', () => before.batchStreams.length > 0)
    await node.certifiesOne()
    await before.batchesCame(1)

    // Its ACKs are owed, and will never come.
    before.behaviour.onBatch = () => {}
    await node.certifiesOne()
    await before.batchesCame(2)
    proxy.freeze()
    const open = proxy.open
    expect(open).toBeGreaterThan(1)
    await node.certifiesOne()

    const after = await node.peer(3)
    await after.connect(node.address)
    // What was not answered on the old connection comes first, in order, and what is new behind it.
    const batches = await after.batchesCame(2)
    await node.certifiesOne()
    await after.batchesCame(3)
    const sequences = batches.slice(0, 3).map(({ sequence }) => sequence)
    expect(sequences).toEqual([...sequences].sort((a, b) => Number(a - b)))
    // Nobody had to run into ack_timeout for it, nor is the peer said to be lost.
    expect(node.lines.filter((line) => /no ACK for/.test(line))).toEqual([])
    expect(node.lines.filter((line) => /^Lost /.test(line))).toEqual([])
    // The peer is not there any more, so that it is the worker who has closed it.
    await until('the dead connection is closed', () => proxy.open < open)
    await until('the worker takes its batches there too', async () => {
      const [connection] = after.node.getConnections()
      await node.accepts(await after.openBatches(connection!))
      return true
    })
  },
)
