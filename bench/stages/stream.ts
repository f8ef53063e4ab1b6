/**
 * A stream between two processes: libp2p over loopback TCP with noise and yamux, as the product sets them up. Each side
 * counts its bytes and its CPU time over the same windows. As much is on its way as in the product, unless a case says
 * otherwise: the receiver acknowledges each batch's bytes.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { IN_FLIGHT_MIN } from '../../src/main/worker/dissemination/limits.js'
import { SLICE_BYTES, STREAM_WINDOW_BYTES } from '../../src/shared/constants.js'
import { v8FlagsFor } from '../../src/shared/runtime/v8-flags.js'
import { WARM_UP_SHARE } from '../lib/measure.js'
import { cpuRow, type Row, type RowName, rateRow } from '../lib/row.js'
import { BATCH_BYTES, type Stage, type StageContext } from '../lib/stage.js'
import { meanAndMargin } from '../lib/statistics.js'
import type { StreamPeerAnswer, StreamPeerRequest } from './stream-peer.js'

const NAME = 'stream'
/** What the product has on its way to a peer at first and at least, and the most that a stream's window lets through. */
const IN_FLIGHT_BYTES = IN_FLIGHT_MIN * BATCH_BYTES
const CASES = [
  { name: 'pieces of 16 KiB', pieceBytes: 16 * 1024, inFlightBytes: IN_FLIGHT_BYTES },
  { name: 'pieces of 64 KiB', pieceBytes: 64 * 1024, inFlightBytes: IN_FLIGHT_BYTES },
  { name: 'pieces as in the product', pieceBytes: SLICE_BYTES, inFlightBytes: IN_FLIGHT_BYTES },
  { name: 'pieces of 512 KiB', pieceBytes: 512 * 1024, inFlightBytes: IN_FLIGHT_BYTES },
  { name: 'as in the product, 4 MiB in flight', pieceBytes: SLICE_BYTES, inFlightBytes: STREAM_WINDOW_BYTES },
]
/** A case is measured in so many windows, if they are of this length at least: their differences are its margin. */
const WINDOWS = 8
const WINDOW_MS_MIN = 50

export const stream: Stage = {
  name: NAME,
  about: 'a stream (TCP, noise, yamux) between two processes, by size of the pieces sent; and the CPU of each side',
  async run(context) {
    const dialler = new Peer(context)
    const listener = new Peer(context)
    try {
      const { addresses } = await listener.ask({ type: 'start', role: 'listener' })
      await dialler.ask({ type: 'start', role: 'dialler' })
      await dialler.ask({ type: 'dial', addresses })
      const rows: Row[] = []
      for (const each of CASES) rows.push(...(await send(dialler, listener, each, context.timeMs)))
      return rows
    } finally {
      await Promise.all([dialler.end(), listener.end()])
    }
  },
}

async function send(
  dialler: Peer,
  listener: Peer,
  { name: caseName, pieceBytes, inFlightBytes }: (typeof CASES)[number],
  timeMs: number,
): Promise<Row[]> {
  const snapshots = (): Promise<StreamPeerAnswer[]> =>
    Promise.all([dialler, listener].map((peer) => peer.ask({ type: 'snapshot' })))
  await dialler.ask({ type: 'send', pieceBytes, inFlightBytes })
  await sleep(timeMs * WARM_UP_SHARE)
  const windowMs = Math.max(WINDOW_MS_MIN, timeMs / WINDOWS)
  const taken = [await snapshots()]
  const endMs = performance.now() + timeMs
  while (taken.length < 2 || performance.now() < endMs) {
    await sleep(windowMs)
    taken.push(await snapshots())
  }
  await dialler.ask({ type: 'stop' })

  const received = taken.map(([, listenerThen]) => listenerThen!)
  const perByte = received.slice(1).map((now, index) => nsPerByte(received[index]!, now))
  const { rmePercent } = meanAndMargin(perByte)
  const name = (what: string, op: string): RowName => ({
    stage: NAME,
    case: `${caseName}${what}`,
    op,
  })
  return [
    rateRow(
      name('', `piece of ${pieceBytes} B`),
      nsPerByte(received[0]!, received.at(-1)!) * pieceBytes,
      pieceBytes,
      rmePercent === undefined ? {} : { rme_percent: rmePercent },
    ),
    cpuRow(name(', CPU of the sender', 'byte'), cpuNsPerByte(taken[0]![0]!, taken.at(-1)![0]!)),
    cpuRow(name(', CPU of the receiver', 'byte'), cpuNsPerByte(taken[0]![1]!, taken.at(-1)![1]!)),
  ]
}

function nsPerByte(from: StreamPeerAnswer, to: StreamPeerAnswer): number {
  return ((to.atMs - from.atMs) * 1e6) / Math.max(1, to.bytes - from.bytes)
}

function cpuNsPerByte(from: StreamPeerAnswer, to: StreamPeerAnswer): number {
  return ((to.cpuUs - from.cpuUs) * 1e3) / Math.max(1, to.bytes - from.bytes)
}

/** A process that is told what to do, one request at a time. */
class Peer {
  private readonly child: ChildProcess

  constructor({ cleanup }: StageContext) {
    const file = fileURLToPath(new URL('./stream-peer.js', import.meta.url))
    this.child = cleanup.track(fork(file, { execArgv: [...v8FlagsFor(process.versions.node)] }))
  }

  ask(request: StreamPeerRequest): Promise<StreamPeerAnswer> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`stream: a process ended by itself, with ${code}`))
      this.child.once('exit', onExit)
      this.child.once('message', (answer) => {
        this.child.off('exit', onExit)
        resolve(answer as StreamPeerAnswer)
      })
      this.child.send(request)
    })
  }

  /** Resolves when the process is gone. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.disconnect()
    await exited
  }
}
