/** One scenario: a committee, and its phases in turn: quiet, under attack, beside a spinner that costs what the attacker did. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { sleep } from '../../src/main/lib/sleep.js'
import { sumOf } from '../../src/main/local/metrics-text.js'
import type { Cleanup } from '../lib/cleanup.js'
import { percentile } from '../lib/statistics.js'
import { AttackedCommittee, type Sample } from './committee.js'
import type { FromChild, Report, Task } from './protocol.js'
import type { Scenario } from './scenarios.js'

export const PHASES = ['quiet', 'attack', 'spinner'] as const
export type Phase = (typeof PHASES)[number]

export interface MeasurementOptions {
  readonly rate: number
  readonly transactionBytes: number
  /** Of each phase. */
  readonly seconds: number
  /** Times that each phase comes. */
  readonly rounds: number
}

export interface PhaseResult {
  readonly phase: Phase
  /** Sample transactions of the victim's client that were sent in the phase and certified. */
  readonly samples: number
  readonly victim_p50_ms: number | null
  readonly victim_p99_ms: number | null
  readonly others_p50_ms: number | null
  readonly others_p99_ms: number | null
  /** Transactions a second that all four certified. */
  readonly certified_tps: number
  /** Of one core, the share that the attacker or the spinner used. */
  readonly cpu_share: number
  /** What the attacker did in a second, in its unit. */
  readonly done_per_s: number
  /** Connections or streams of the attacker's that the victim ended. */
  readonly ended: number
  /** What the victim counted as refused. */
  readonly refused: number
  /** The most resident memory of the victim at a look. */
  readonly victim_rss_mb: number
  /** Honest clients that were closed. */
  readonly honest_closed?: number
  /** From the boot of a restarted peer to its connection with the victim. */
  readonly back_ms?: number
}

export interface ScenarioResult {
  readonly letter: string
  readonly what: string
  readonly rate: string
  readonly phases: readonly PhaseResult[]
}

const CHILD_FILE = join(import.meta.dirname, 'child.js')
const READY_DEADLINE_MS = 20_000
/** After a phase, what is on its way and what the victim does about the attack comes to an end. */
const PAUSE_MS = 1_000
const LOOK_MS = 200
const FULL_TRANSACTION_BYTES = 400_000

/** What one appearance of a phase gave. */
interface Piece {
  readonly samples: readonly Sample[]
  readonly certified: number
  readonly elapsedS: number
  readonly report: Report | undefined
  readonly refused: number
  readonly rssBytes: number
  readonly honestClosed: number
  readonly backMs: number | undefined
}

export async function measure(
  scenario: Scenario,
  options: MeasurementOptions,
  cleanup: Cleanup,
): Promise<ScenarioResult> {
  const directory = cleanup.directory('attack')
  const committee = await AttackedCommittee.start({
    directory,
    authorities: scenario.isMember ? 5 : 4,
    rate: scenario.loadRate ?? options.rate,
    transactionBytes: options.transactionBytes,
    parameters: scenario.parameters ?? {},
  })
  try {
    if (scenario.fullBatches !== undefined) await fill(committee, scenario.fullBatches)
    await sleep(PAUSE_MS)
    const pieces = new Map<Phase, Piece[]>(PHASES.map((phase) => [phase, []]))
    let share = 0
    for (let round = 0; round < options.rounds; round += 1) {
      for (const phase of PHASES) {
        const task = taskOf(phase, scenario, options, committee, share)
        const piece = await runPhase(committee, scenario, options.seconds, task, cleanup)
        if (phase === 'attack') {
          if (!piece.report?.done) throw new Error(`the attacker of ${scenario.letter} did nothing`)
          share = piece.report.cpuS / piece.report.elapsedS
        }
        pieces.get(phase)!.push(piece)
        await sleep(PAUSE_MS)
      }
    }
    return {
      letter: scenario.letter,
      what: scenario.what,
      rate: `${scenario.rate} ${scenario.unit} a second`,
      phases: PHASES.map((phase) => resultOf(phase, pieces.get(phase)!, scenario)),
    }
  } finally {
    await committee.close()
    cleanup.remove(directory)
  }
}

function taskOf(
  phase: Phase,
  scenario: Scenario,
  { seconds }: MeasurementOptions,
  committee: AttackedCommittee,
  share: number,
): Task | undefined {
  if (phase === 'quiet') return undefined
  if (phase === 'spinner') return { kind: 'spin', seconds, share }
  const full = [...committee.victimBatches].filter(([, bytes]) => bytes >= FULL_TRANSACTION_BYTES)
  const batches = scenario.fullBatches === undefined ? [...committee.victimBatches] : full
  return {
    kind: 'attack',
    attack: scenario.attack,
    seconds,
    rate: scenario.rate,
    committeeFile: committee.committeeFile,
    keysFile: committee.attackerKeysFile,
    batchBytesMax: committee.parameters.batchBytesMax,
    targets: committee.targets,
    digests: batches.slice(0, 100).map(([digest]) => digest),
  }
}

async function runPhase(
  committee: AttackedCommittee,
  scenario: Scenario,
  seconds: number,
  task: Task | undefined,
  cleanup: Cleanup,
): Promise<Piece> {
  const child = task === undefined ? undefined : await startChild(task, cleanup)
  const before = await Promise.all(committee.targets.map((_, node) => committee.metrics(node)))
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  const report = child && reportOf(child)
  child?.send('go')
  const honest = honestClients(committee, scenario.honestClients ?? 0, endMs)
  const back = scenario.restarts ? sleep((seconds * 1000) / 4).then(() => committee.restart(1)) : undefined
  let rssBytes = 0
  while (performance.now() < endMs) {
    await sleep(LOOK_MS)
    rssBytes = Math.max(rssBytes, sumOf(await committee.metrics(0), 'process_resident_memory_bytes'))
  }
  const samplesEndMs = performance.now()
  const backMs = await back
  const after = await Promise.all(committee.targets.map((_, node) => committee.metrics(node)))
  const elapsedS = (performance.now() - startMs) / 1000
  const done = await report
  const honestClosed = await honest
  await sleep(PAUSE_MS)
  const grown = (name: string, node: number): number =>
    Math.max(0, sumOf(after[node]!, name) - sumOf(before[node]!, name))
  return {
    samples: committee.samples.filter(({ sentMs }) => sentMs >= startMs && sentMs < samplesEndMs),
    certified: after.reduce((sum, _, node) => sum + grown('narval_transactions_certified_total', node), 0),
    elapsedS,
    report: done,
    refused: grown('narval_refusals_total', 0),
    rssBytes,
    honestClosed,
    backMs,
  }
}

async function startChild(task: Task, cleanup: Cleanup): Promise<ChildProcess> {
  const child = cleanup.track(
    fork(CHILD_FILE, [JSON.stringify(task)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
  )
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) =>
      Promise.reject(new Error(`the attacker ended with code ${code} before it began`)),
    ),
    sleep(READY_DEADLINE_MS).then(() => Promise.reject(new Error('the attacker is not ready'))),
  ])) as [FromChild]
  if (message.type !== 'ready') throw new Error('the attacker said something else than that it is ready')
  return child
}

/** What the process says at its end; undefined if it ends without it. */
function reportOf(child: ChildProcess): Promise<Report | undefined> {
  return new Promise((resolve) => {
    child.on('message', (message: FromChild) => {
      if (message.type === 'report') resolve(message.report)
    })
    child.once('exit', () => resolve(undefined))
  })
}

/** Each sends a small transaction ten times a second, from an address of its own kind. Resolves with how many were closed. */
async function honestClients(committee: AttackedCommittee, count: number, endMs: number): Promise<number> {
  const port = committee.targets[0]!.transactionsPort
  let closed = 0
  const sockets: Socket[] = Array.from({ length: count }, () => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.3' })
    socket.on('error', () => {})
    socket.resume()
    socket.once('close', () => {
      closed += 1
    })
    return socket
  })
  const bytes = Buffer.alloc(4 + 100, 1)
  bytes.writeUInt32BE(100)
  while (count > 0 && performance.now() < endMs) {
    for (const socket of sockets) if (!socket.destroyed) socket.write(bytes)
    await sleep(100)
  }
  const lost = closed
  for (const socket of sockets) socket.destroy()
  return lost
}

/** Has the victim store so many batches of the largest size. */
async function fill(committee: AttackedCommittee, count: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: committee.targets[0]!.transactionsPort })
  await once(socket, 'connect')
  const bytes = Buffer.alloc(4 + FULL_TRANSACTION_BYTES, 1)
  bytes.writeUInt32BE(FULL_TRANSACTION_BYTES)
  for (let i = 0; i < count; i += 1) await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  const isFull = (): boolean =>
    [...committee.victimBatches.values()].filter((size) => size >= FULL_TRANSACTION_BYTES).length >= count
  for (const endMs = performance.now() + 30_000; !isFull(); ) {
    if (performance.now() > endMs) throw new Error('the victim did not store the full batches')
    await sleep(50)
  }
  socket.destroy()
}

function resultOf(phase: Phase, pieces: readonly Piece[], scenario: Scenario): PhaseResult {
  const samples = pieces.flatMap((piece) => piece.samples)
  const of = (isVictim: boolean): number[] =>
    samples.filter(({ node }) => (node === 0) === isVictim).map(({ certifiedMs, sentMs }) => certifiedMs - sentMs)
  const at = (ms: readonly number[], share: number): number | null =>
    ms.length === 0 ? null : round(percentile(Float64Array.from(ms).sort(), share))
  const sum = (value: (piece: Piece) => number): number => pieces.reduce((total, piece) => total + value(piece), 0)
  const elapsedS = sum((piece) => piece.elapsedS)
  const childS = sum(({ report }) => report?.elapsedS ?? 0)
  const backs = pieces.flatMap(({ backMs }) => backMs ?? [])
  return {
    phase,
    samples: of(true).length,
    victim_p50_ms: at(of(true), 0.5),
    victim_p99_ms: at(of(true), 0.99),
    others_p50_ms: at(of(false), 0.5),
    others_p99_ms: at(of(false), 0.99),
    certified_tps: Math.round(sum((piece) => piece.certified) / elapsedS),
    cpu_share: childS === 0 ? 0 : Number((sum(({ report }) => report?.cpuS ?? 0) / childS).toFixed(3)),
    done_per_s: childS === 0 || phase !== 'attack' ? 0 : Math.round(sum(({ report }) => report?.done ?? 0) / childS),
    ended: phase === 'attack' ? sum(({ report }) => report?.ended ?? 0) : 0,
    refused: sum((piece) => piece.refused),
    victim_rss_mb: Math.round(Math.max(...pieces.map((piece) => piece.rssBytes)) / 1e6),
    ...(scenario.honestClients !== undefined && { honest_closed: sum((piece) => piece.honestClosed) }),
    ...(backs.length > 0 && { back_ms: Math.round(Math.max(...backs)) }),
  }
}

function round(ms: number): number {
  return Number(ms.toFixed(1))
}
