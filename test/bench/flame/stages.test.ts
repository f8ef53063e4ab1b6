import { describe, expect, it } from 'vitest'
import { type CpuProfile, foldProfile, type ProfileNode } from '../../../bench/flame/cpu-profile.js'
import { describeFrame } from '../../../bench/flame/frames.js'
import { isAsleep, STAGES, type Stage, stageOfFrame } from '../../../bench/flame/stages.js'

const ROOT = 'file:///somewhere/node_modules/narval'
const own = (path: string, functionName = 'f') => ({ functionName, url: `file:///home/a/dist/${path}`, lineNumber: 9 })
const npm = (path: string, functionName = 'f') => ({ functionName, url: `${ROOT}/node_modules/${path}`, lineNumber: 0 })
const node = (path: string, functionName = 'f') => ({ functionName, url: `node:${path}`, lineNumber: 0 })
const native = (functionName: string) => ({ functionName, url: '', lineNumber: -1 })

/** The stage of the last of these frames, each called by the one before it. */
function stageBelow(...frames: ReturnType<typeof own>[]): Stage {
  const nodes: ProfileNode[] = [native('(root)'), ...frames].map((callFrame, index) => ({
    id: index + 1,
    callFrame,
    children: index < frames.length ? [index + 2] : [],
  }))
  const profile: CpuProfile = { nodes, startTime: 0, endTime: 1000, samples: [nodes.length], timeDeltas: [1000] }
  let at = foldProfile(profile, 'main', 1000).root
  while (at.children.length > 0) at = at.children[0]!
  return at.stage
}

describe('frames', () => {
  it('a frame shows the file of narval, package or Node that it is in, with its line counted from 1', () => {
    expect(describeFrame(own('main/network/router.js'))).toEqual({
      name: 'f',
      module: 'narval/main/network/router.js',
      where: 'dist/main/network/router.js:10',
      kind: 'narval',
    })
    const scoped = describeFrame(npm('@chainsafe/libp2p-yamux/dist/src/muxer.js', 'onData'))
    expect(scoped).toMatchObject({ module: 'npm/@chainsafe/libp2p-yamux/dist/src/muxer.js', kind: 'dependency' })
    expect(scoped.where).toBe('@chainsafe/libp2p-yamux/dist/src/muxer.js:1')
    expect(describeFrame(node('internal/timers'))).toMatchObject({ module: 'node/internal/timers', kind: 'node' })
    expect(describeFrame(native('writeBuffer'))).toMatchObject({ module: '', where: '', kind: 'native' })
    expect(describeFrame(native('(garbage collector)'))).toMatchObject({ kind: 'gc' })
  })

  it('a package in dist/main of its own is a package, not narval', () => {
    expect(describeFrame(npm('some-package/dist/main/index.js')).kind).toBe('dependency')
  })

  it('a function that is called like one of every object has its own name', () => {
    expect(describeFrame(own('main/network/router.js', 'constructor')).name).toBe('constructor')
    expect(describeFrame(native('toString')).name).toBe('toString')
  })
})

describe('stages', () => {
  it.each<[Stage, ReturnType<typeof own>[]]>([
    ['ingress', [own('threads/batch-maker/client-connection.js')]],
    ['sealing', [own('threads/batch-maker/batch-maker.js', 'seal')]],
    ['sealing', [own('threads/batch-maker/batch-maker.js', 'seal'), own('shared/wire/batch.js', 'writeBatchHeader')]],
    ['ingress', [own('threads/batch-maker/batch-maker.js', 'append')]],
    ['dissemination', [own('main/worker/dissemination/peer-sender.js')]],
    ['order', [own('threads/primary/core.js'), own('shared/wire/primary/header.js')]],
    ['order', [own('shared/store/primary/commit-log-reader.js')]],
    ['reader', [own('main/local/load/consumer.js'), own('shared/wire/batch.js', 'frameEnd')]],
    ['cipher', [npm('@chainsafe/libp2p-noise/dist/src/utils.js'), node('internal/crypto/cipher'), native('update')]],
    ['streams', [npm('@chainsafe/libp2p-yamux/dist/src/muxer.js')]],
    ['streams', [npm('@libp2p/utils/dist/src/abstract-message-stream.js')]],
    ['sockets', [npm('@libp2p/tcp/dist/src/socket.js'), node('net'), native('writeBuffer')]],
    ['inbound', [own('main/network/frame-stream.js'), own('main/worker/inbound/inbound-batches.js', 'write')]],
    ['digest', [own('shared/wire/digest.js'), node('internal/crypto/hash'), native('update')]],
    ['digest', [own('threads/processor/processor.js', 'foreign'), own('shared/wire/batch.js', 'checkBatch')]],
    ['digest', [npm('@chainsafe/as-sha256/lib/index.js'), { ...native('wasm-function[2]'), url: 'wasm://wasm/1' }]],
    ['store', [npm('lmdb/write.js'), native('startWriting')]],
    ['tally', [own('threads/quorum-waiter/quorum-tally.js')]],
    ['rings', [own('shared/memory/doorbell.js', 'ring')]],
    ['primary', [own('main/worker/primary-link/primary-connector.js'), own('shared/wire/primary-messages.js')]],
    ['observing', [own('main/metrics/metrics.js'), npm('prom-client/lib/histogram.js')]],
    ['sync', [own('main/worker/sync/helper.js')]],
    ['gc', [native('(garbage collector)')]],
    ['outside', [native('(program)')]],
    ['loop', [node('internal/timers', 'listOnTimeout')]],
    ['other', [own('main/worker/worker-node.js')]],
  ])('%s: what does its work is counted as its', (stage, frames) => {
    expect(stageBelow(...frames)).toBe(stage)
  })

  it('the nearest caller with a stage decides for a helper that serves all', () => {
    const list = npm('uint8arraylist/dist/src/index.js', 'append')
    const yamux = npm('@chainsafe/libp2p-yamux/dist/src/muxer.js')
    const noise = npm('@chainsafe/libp2p-noise/dist/src/utils.js')
    expect(stageBelow(yamux, list)).toBe('streams')
    expect(stageBelow(yamux, noise, list)).toBe('cipher')
    expect(stageBelow(noise, yamux, own('shared/memory/slots.js'))).toBe('streams')
    expect(stageBelow(list)).toBe('other')
  })

  it('what main does for a doorbell is not the doorbell’s', () => {
    expect(stageBelow(own('shared/memory/doorbell.js', 'serve'), own('main/worker/worker-node.js', 'poll'))).toBe(
      'other',
    )
  })

  it('every stage that a rule names has a label', () => {
    for (const frame of [
      own('main/lib/gc-relief.js'),
      own('main/worker/sealing-gate.js'),
      own('shared/memory/byte-ring.js'),
    ]) {
      expect(STAGES[stageOfFrame(describeFrame(frame))!]).toBeTypeOf('string')
    }
  })

  it('a thread is asleep in libuv’s poll and where the quorum-waiter blocks, and nowhere else', () => {
    expect(isAsleep(native('(idle)'))).toBe(true)
    expect(isAsleep(own('shared/memory/doorbell.js', 'serveBlocking'))).toBe(true)
    expect(isAsleep(own('threads/quorum-waiter/thread.js', 'run'))).toBe(true)
    expect(isAsleep(own('shared/memory/doorbell.js', 'serve'))).toBe(false)
    expect(isAsleep(own('threads/quorum-waiter/thread.js', 'handle'))).toBe(false)
    expect(isAsleep(native('(program)'))).toBe(false)
  })
})
