/**
 * The metrics of a primary, in a registry of their own: `narval_primary_…`, and the families that every node has.
 *
 * State is read at the time of a scrape, from what the thread counts in shared memory and from what main knows of the
 * others. What only an event knows is told by the methods below: a few for each round, and one histogram for each batch of
 * ours and stage. Every label is bounded: authorities are those of the committee, all else are constants of the code.
 */
import { Histogram, Registry } from 'prom-client'
import { shortName } from '../../shared/config/short-name.js'
import type { Counters } from '../../shared/memory/counters.js'
import type { CommittedBatches } from '../../shared/memory/dialogue/primary.js'
import type { EvidenceKind } from '../../shared/wire/primary/evidence.js'
import { STAGES, type Stage } from '../primary/watch/stage-times.js'
import { addCounter, addGauge, addLevel, addSum } from './families.js'
import { LATENCY_BUCKETS_S } from './metrics.js'
import { addProcessMetrics } from './node-metrics.js'
import type { RefusalCounts } from './refusal-counts.js'
import { addRuntimeMetrics } from './thread-metrics.js'

export interface PrimaryMetricsInit {
  /** Of narval. */
  readonly version: string
  /** Names of all authorities, in base64, by their index. */
  readonly authorities: readonly string[]
  /** Not read before the first scrape. */
  readonly sources: PrimarySources
}

/** What metrics are read from when somebody asks for them. Every getter is cheap and has no effect. */
export interface PrimarySources {
  readonly counters: Counters<'primary'>
  readonly refusals: RefusalCounts
  readonly quorumThreshold: number
  connectedStake(): number
  /** Stake of the authorities that are missing, each by its name: `PrimaryHealth.missing`. */
  missing(): Iterable<readonly [name: string, stake: number]>
  /** One for each other authority. */
  peers(): Iterable<PrimaryPeerSource>
  health(): { readonly ok: boolean; readonly ordering: boolean }
}

export interface PrimaryPeerSource {
  /** In base64. */
  readonly name: string
  readonly connected: boolean
  /** Since its last record, in ms. */
  readonly silentMs: number
  /** Records that wait for our stream to it, their bytes, and the most of each. */
  readonly queued: number
  readonly queuedMax: number
  readonly queuedBytes: number
  readonly queuedBytesMax: number
  /** Records that were dropped because it did not take them. */
  readonly dropped: number
  /** Records of its that the thread has not handled, and the most of them. */
  readonly inbound: number
  readonly inboundMax: number
}

type EvidenceLabels = { readonly accused: string; readonly kind: EvidenceKind }

interface AuthorCounts {
  readonly label: string
  /** The highest round of a certificate. */
  round: number
  votesSent: number
  certificates: number
  committedBatches: number
}

export class PrimaryMetrics {
  readonly registry = new Registry()
  private readonly authors: readonly AuthorCounts[]
  private readonly headers = { created: 0, givenUp: 0, batches: 0, batchesAgain: 0, unobtainable: 0 }
  private historyGoneCount = 0
  private readonly evidence = new Map<string, { readonly labels: EvidenceLabels; readonly count: number }>()
  private readonly committedSums = { commits: 0, certificates: 0 }
  private readonly observers: ReadonlyMap<Stage, (seconds: number) => void>

  constructor({ authorities, sources, version }: PrimaryMetricsInit) {
    const { registry } = this
    this.authors = authorities.map((name) => ({
      label: shortName(name),
      round: 0,
      votesSent: 0,
      certificates: 0,
      committedBatches: 0,
    }))
    const stages = new Histogram({
      name: 'narval_primary_stage_seconds',
      help: 'Time of our own batches from stage to stage, on the way from the worker to the order.',
      labelNames: ['stage'],
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    })
    this.observers = new Map(STAGES.map((stage) => [stage, observerOf(stages, stage)]))
    this.addHeaders()
    this.addAuthors()
    this.addCommits(sources)
    addRounds(registry, sources.counters)
    addCheckpoints(registry, sources.counters)
    addCrypto(registry, sources.counters)
    addQueues(registry, sources)
    addStore(registry, sources.counters)
    addState(registry, sources)
    addCounter(registry, {
      name: 'narval_refusals_total',
      help: 'What was refused, by whose it was and why.',
      labels: ['kind', 'reason'],
      read: () => sources.refusals.rows(),
    })
    addRuntimeMetrics(registry, { primary: sources.counters })
    addProcessMetrics(registry, version)
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  get contentType(): string {
    return this.registry.contentType
  }

  /** A header of ours with so many batches was made. */
  headerCreated(batches: number): void {
    this.headers.created += 1
    this.headers.batches += batches
  }

  headerGivenUp(): void {
    this.headers.givenUp += 1
  }

  /** So many batches of headers that fell out are to be proposed again. */
  proposedAgain(batches: number): void {
    this.headers.batchesAgain += batches
  }

  batchUnobtainable(): void {
    this.headers.unobtainable += 1
  }

  historyGone(): void {
    this.historyGoneCount += 1
  }

  /** So much evidence of one kind is kept against an authority. */
  evidenceKept(accused: number, kind: EvidenceKind, count: number): void {
    const labels = { accused: this.authors[accused]!.label, kind }
    this.evidence.set(`${accused} ${kind}`, { labels, count })
  }

  voted(author: number): void {
    this.authors[author]!.votesSent += 1
  }

  /** A certificate was delivered. */
  certified(author: number, round: number): void {
    const counts = this.authors[author]!
    counts.certificates += 1
    counts.round = Math.max(counts.round, round)
  }

  committed({ batches, certificates }: CommittedBatches): void {
    this.committedSums.commits += 1
    this.committedSums.certificates += certificates
    for (const { author } of batches) this.authors[author]!.committedBatches += 1
  }

  stage(stage: Stage, ms: number): void {
    this.observers.get(stage)!(ms / 1000)
  }

  private addHeaders(): void {
    const { headers, registry } = this
    addSum(registry, 'narval_primary_headers_created_total', 'Headers of ours that were made.', () => headers.created)
    addSum(
      registry,
      'narval_primary_headers_given_up_total',
      'Headers of ours that got no certificate in time; their batches are proposed again.',
      () => headers.givenUp,
    )
    addSum(
      registry,
      'narval_primary_batches_proposed_total',
      'Batches in headers of ours; one that is proposed again counts again.',
      () => headers.batches,
    )
    addSum(
      registry,
      'narval_primary_batches_proposed_again_total',
      'Batches of headers of ours that were certified and fell out of the order.',
      () => headers.batchesAgain,
    )
    addSum(
      registry,
      'narval_primary_batches_unobtainable_total',
      'Batches of ours that no quorum can get: each is proposed alone, now and then.',
      () => headers.unobtainable,
    )
    addSum(
      registry,
      'narval_primary_history_gone_total',
      'Times that no connected peer kept the certificates any more that we needed to catch up.',
      () => this.historyGoneCount,
    )
  }

  private addAuthors(): void {
    const { authors, registry } = this
    const rows = (value: (counts: AuthorCounts) => number) => () =>
      authors.map((counts) => [{ author: counts.label }, value(counts)] as const)
    const labels = ['author'] as const
    addGauge(registry, {
      name: 'narval_primary_evidence',
      help: 'Evidence that the store keeps, by the authority that it accuses and its kind.',
      labels: ['accused', 'kind'] as const,
      read: () => Array.from(this.evidence.values(), ({ count, labels }) => [labels, count] as const),
    })
    addGauge(registry, {
      name: 'narval_primary_author_round',
      help: 'The highest round of an authority of which a certificate was delivered since the start.',
      labels,
      read: rows(({ round }) => round),
    })
    addCounter(registry, {
      name: 'narval_primary_certificates_total',
      help: 'Certificates that were delivered, by the author of the header; our own are those that we formed.',
      labels,
      read: rows(({ certificates }) => certificates),
    })
    addCounter(registry, {
      name: 'narval_primary_votes_sent_total',
      help: 'Votes that we gave, by the author of the header.',
      labels,
      read: rows(({ votesSent }) => votesSent),
    })
    addCounter(registry, {
      name: 'narval_primary_committed_batches_total',
      help: 'Batches in the order since the start, by the authority whose worker made them.',
      labels,
      read: rows(({ committedBatches }) => committedBatches),
    })
  }

  private addCommits({ counters }: PrimarySources): void {
    const { committedSums, registry } = this
    addLevel(registry, 'narval_primary_commit_index', 'The index of the last commit.', () => counters.get('lastCommit'))
    addSum(
      registry,
      'narval_primary_commits_total',
      'Commits since the start, on the disk.',
      () => committedSums.commits,
    )
    addSum(
      registry,
      'narval_primary_committed_certificates_total',
      'Certificates in these commits.',
      () => committedSums.certificates,
    )
  }
}

function observerOf(histogram: Histogram<'stage'>, stage: Stage): (seconds: number) => void {
  histogram.zero({ stage })
  const { observe } = histogram.labels(stage)
  return observe
}

function addRounds(registry: Registry, row: Counters<'primary'>): void {
  const add = (name: string, help: string, read: () => number): void => addLevel(registry, name, help, read)
  add('narval_primary_round', 'The round of our last header.', () => row.get('round'))
  add('narval_primary_quorum_round', 'The highest round with a quorum of certificates here.', () =>
    row.get('quorumRound'),
  )
  add('narval_primary_seen_round', 'The highest round of which anybody has shown a certificate.', () =>
    row.get('seenRound'),
  )
  add('narval_primary_decided_round', 'The round up to which the order is decided.', () => row.get('decidedRound'))
  add('narval_primary_gc_round', 'The round up to which everything is forgotten.', () => row.get('gcRound'))
  add('narval_primary_lag_rounds', 'Rounds that we are behind the highest that anybody has shown.', () =>
    Math.max(0, row.get('seenRound') - row.get('quorumRound')),
  )
  add(
    'narval_primary_header_delay_seconds',
    'The least time between two headers of ours with work; load raises it.',
    () => row.get('headerDelayMs') / 1000,
  )
  add('narval_primary_votes_missing', 'Authorities whose votes our last header waits for.', () =>
    row.get('missingVotes'),
  )
  addSum(registry, 'narval_primary_votes_received_total', 'Votes of others for headers of ours that counted.', () =>
    row.get('votesTaken'),
  )
  addSum(
    registry,
    'narval_primary_batches_adopted_total',
    'Batches that are in the order although their authors did not bring them there: others that hold them did.',
    () => row.get('adoptedBatches'),
  )
}

function addCheckpoints(registry: Registry, row: Counters<'primary'>): void {
  const add = (name: string, help: string, read: () => number): void => addLevel(registry, name, help, read)
  add('narval_primary_checkpoint_signed_commit', 'The commit of our last signature of a checkpoint.', () =>
    row.get('checkpointSigned'),
  )
  add(
    'narval_primary_checkpoint_attested_commit',
    'The commit of the latest checkpoint that a quorum has signed.',
    () => row.get('checkpointAttested'),
  )
  add('narval_primary_checkpoint_lag_commits', 'Commits behind the latest checkpoint that a quorum has signed.', () =>
    Math.max(0, row.get('lastCommit') - row.get('checkpointAttested')),
  )
  add('narval_primary_checkpoint_claims', 'Signatures of checkpoints by others that make no quorum yet.', () =>
    row.get('checkpointClaims'),
  )
  addSum(
    registry,
    'narval_primary_checkpoints_differing_total',
    'Valid signatures of checkpoints that say something else than ours, or than another by the same authority.',
    () => row.get('checkpointsDiffering'),
  )
}

function addCrypto(registry: Registry, row: Counters<'primary'>): void {
  const add = (name: string, help: string, read: () => number): void => addSum(registry, name, help, read)
  add(
    'narval_primary_verification_seconds_sum',
    'Time of the verification of signatures.',
    () => row.get('verifyMs') / 1000,
  )
  add('narval_primary_verification_seconds_count', 'Signatures that were verified.', () => row.get('verified'))
  add('narval_primary_signing_seconds_sum', 'Time of the signing of headers and votes.', () => row.get('signMs') / 1000)
  add('narval_primary_signing_seconds_count', 'Signatures that were made.', () => row.get('signed'))
  add(
    'narval_primary_throttled_total',
    'Times that messages of a peer had to wait, because too many of its signatures led to nothing.',
    () => row.get('throttled'),
  )
}

/** Queues of the thread, and the counter of the bound of those that have a fixed one. */
const QUEUES = [
  ['inputs', 'inputsWaiting', undefined],
  ['headers', 'headersWaiting', 'headersWaitingMax'],
  ['certificates', 'certificatesWaiting', undefined],
  ['certificates-wanted', 'certificatesWanted', 'certificatesWantedMax'],
  ['payload-wanted', 'payloadWanted', 'payloadWantedMax'],
  ['own-batches', 'ownBatchesWaiting', undefined],
  ['own-batches-listed', 'ownBatchesListed', undefined],
  ['batches-unnamed', 'unnamedBatches', undefined],
  ['batches-named', 'batchesNamed', undefined],
  ['certificates-kept', 'certificatesKept', undefined],
  ['certificates-unordered', 'unordered', undefined],
] as const

function addQueues(registry: Registry, { counters, peers }: PrimarySources): void {
  addGauge(registry, {
    name: 'narval_primary_queue_size',
    help: "What waits in the primary's thread, or is kept there.",
    labels: ['queue'],
    read: () => QUEUES.map(([queue, size]) => [{ queue }, counters.get(size)] as const),
  })
  addGauge(registry, {
    name: 'narval_primary_queue_size_max',
    help: 'The most that may, where there is a fixed number; docs/architecture.md has the others.',
    labels: ['queue'],
    read: () =>
      QUEUES.flatMap(([queue, , max]) => (max === undefined ? [] : [[{ queue }, counters.get(max)] as const])),
  })
  const add = (name: string, help: string, value: (peer: PrimaryPeerSource) => number): void =>
    addGauge(registry, {
      name,
      help,
      labels: ['peer'],
      read: () => Array.from(peers(), (peer) => [{ peer: shortName(peer.name) }, value(peer)] as const),
    })
  add('narval_primary_peer_connected', '1 while our stream to the primary of the peer is there.', (peer) =>
    Number(peer.connected),
  )
  add('narval_primary_peer_silent_seconds', 'Time since the last record of the peer.', (peer) => peer.silentMs / 1000)
  add('narval_primary_peer_queue', 'Records that wait for our stream to the peer.', (peer) => peer.queued)
  add('narval_primary_peer_queue_max', 'The most that may.', (peer) => peer.queuedMax)
  add('narval_primary_peer_queue_bytes', 'Bytes of these records.', (peer) => peer.queuedBytes)
  add('narval_primary_peer_queue_bytes_max', 'The most of them.', (peer) => peer.queuedBytesMax)
  add('narval_primary_peer_inbound', 'Records of the peer that the thread has not handled.', (peer) => peer.inbound)
  add('narval_primary_peer_inbound_max', 'The most of them: beyond it the peer is not read.', (peer) => peer.inboundMax)
  addCounter(registry, {
    name: 'narval_primary_records_dropped_total',
    help: 'Records that were dropped because the peer did not take them: it asks for them, or they are sent again.',
    labels: ['peer'],
    read: () => Array.from(peers(), ({ dropped, name }) => [{ peer: shortName(name) }, dropped] as const),
  })
}

function addStore(registry: Registry, row: Counters<'primary'>): void {
  addSum(
    registry,
    'narval_primary_flush_seconds_sum',
    "Time of the transactions of the primary's store until they were flushed.",
    () => row.get('flushMs') / 1000,
  )
  addSum(registry, 'narval_primary_flush_seconds_count', 'Transactions that were flushed.', () => row.get('flushes'))
  addLevel(registry, 'narval_primary_store_file_bytes', "Bytes of the primary's store, with free pages.", () =>
    row.get('storeFileBytes'),
  )
}

function addState(registry: Registry, sources: PrimarySources): void {
  const { counters } = sources
  addLevel(registry, 'narval_primary_healthy', '1 while the primary is ready.', () => Number(sources.health().ok))
  addLevel(
    registry,
    'narval_primary_ordering',
    '0 while no new round gets a quorum, or the order does not follow.',
    () => Number(sources.health().ordering),
  )
  addLevel(
    registry,
    'narval_primary_recovering',
    '1 while nothing may be signed: the store is new or an older one.',
    () => counters.get('isRecovering'),
  )
  addLevel(registry, 'narval_primary_connected_stake', 'Stake of the connected primaries, our own included.', () =>
    sources.connectedStake(),
  )
  addLevel(registry, 'narval_primary_quorum_stake', 'The stake that a quorum takes.', () => sources.quorumThreshold)
  addGauge(registry, {
    name: 'narval_primary_missing_stake',
    help: 'Stake of an authority that is not connected, or that a stalled round waits for.',
    labels: ['authority'],
    read: () => Array.from(sources.missing(), ([name, stake]) => [{ authority: shortName(name) }, stake] as const),
  })
}
