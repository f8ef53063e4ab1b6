/**
 * Reads a primary's whole store, whether a node runs it or not, and says what of it is damaged: records of the log that are
 * not there, or not what their successors say; certificates that do not fit what names them; and what a start could not read.
 */
import { DIGEST_BYTES } from '../../constants.js'
import { CommitsPrunedError, NarvalError } from '../../errors.js'
import { decodeCertificate } from '../../wire/primary/certificate.js'
import { decodeEvidence } from '../../wire/primary/evidence.js'
import { headerId } from '../../wire/primary/header-id.js'
import { heightOf } from '../../wire/primary/mountain-range.js'
import { compareBytes } from '../../wire/primary/record.js'
import { decodeVote } from '../../wire/primary/vote.js'
import type { CheckHandlers, CheckResult } from '../check-store.js'
import { StoreFile, type StoreSnapshot } from '../store-snapshot.js'
import { readCheckpoint } from './checkpoint-reader.js'
import { CommitLogReader, type LoggedCommit } from './commit-log-reader.js'
import type { LogHead } from './commit-parts.js'
import {
  decodeHead,
  decodeNumbers,
  decodePlace,
  decodeStoredCertificate,
  encodePlace,
  type PrimaryDatabaseName,
  PrimaryKeys,
  readKey,
} from './format.js'

/** Entries that are looked at in one snapshot: few, since a running node uses its pages again. */
const CHUNK = 64

/** @throws NarvalError ERR_FILE_MISSING, ERR_FILE_UNREADABLE, ERR_STORE_FORMAT, ERR_STORE_DAMAGED if nothing can be read */
export function checkPrimaryStore(directory: string, handlers: CheckHandlers): CheckResult {
  const reader = new CommitLogReader(directory)
  const file = new StoreFile(directory)
  try {
    return new PrimaryStoreCheck(reader, file, handlers).run()
  } finally {
    reader.close()
    file.close()
  }
}

class PrimaryStoreCheck {
  private readonly reader: CommitLogReader
  private readonly file: StoreFile
  private readonly keys: PrimaryKeys
  private readonly committeeDigest: Uint8Array
  private readonly handlers: CheckHandlers
  private readonly seen = new Set<string>()
  private deletedRound = 0
  private entries = 0
  private bytes = 0

  constructor(reader: CommitLogReader, file: StoreFile, handlers: CheckHandlers) {
    this.reader = reader
    this.file = file
    this.handlers = handlers
    this.keys = new PrimaryKeys(reader.settings.epoch)
    this.committeeDigest = Buffer.from(reader.settings.committeeDigest, 'hex')
  }

  run(): CheckResult {
    const { authorities } = this.reader.settings
    this.tolerated('(state)', () => this.checkState())
    this.tolerated('(log)', () => {
      this.deletedRound = this.readDeletedRound()
      this.checkLog()
    })
    this.checkEntries('certificates', (snapshot, key, value) => this.certificateProblem(snapshot, key, value))
    this.checkEntries('digests', (snapshot, key, value) => {
      const { digest } = readKey.digest(key)
      const { author, round } = decodePlace(value)
      const stored = snapshot.get('certificates', this.keys.certificate(round, author))
      const isThere = stored !== undefined && compareBytes(decodeStoredCertificate(stored).digest, digest) === 0
      return isThere ? undefined : 'it names a certificate that is not there'
    })
    this.checkEntries('votes', (_, key, value) => {
      const { author } = readKey.vote(key)
      return decodeVote(value, authorities).author === author ? undefined : 'the vote is for another authority'
    })
    this.checkEntries('evidence', (_, key, value) => {
      const { accused, kind, round } = readKey.evidence(key)
      const found = decodeEvidence(value, authorities)
      const isSame = found.accused === accused && found.kind === kind && found.round === round
      return isSame ? undefined : 'the evidence is of another kind, authority or round'
    })
    this.checkEntries('range', (_, key, value) => {
      const { index } = readKey.range(key)
      return value.length === DIGEST_BYTES * (heightOf(index) + 1) ? undefined : 'it has another number of nodes'
    })
    this.checkEntries('checkpoints', (_, key, value) => {
      readCheckpoint(value, readKey.checkpoint(key).index, authorities)
      return undefined
    })
    for (const name of ['own', 'payload'] as const) {
      this.checkEntries(name, (_, key) => void readKey.batch(key))
    }
    let end: { author: number; worker: number; last: bigint } | undefined
    this.checkEntries('runs', (_, key, value) => {
      const { author, first, worker } = readKey.run(key)
      const run = { author, worker, last: BigInt(`0x${value.toString('hex') || '0'}`) }
      const isOfSame = end?.author === author && end.worker === worker
      const problem =
        value.length !== 8 || run.last < first || (isOfSame && first <= end!.last + 1n)
          ? 'the runs of sequences are not in order'
          : undefined
      end = run
      return problem
    })
    return { what: 'entries', count: this.entries, bytes: this.bytes, damaged: this.seen.size }
  }

  /** Every record of the log, and that its certificates are there, unless they are older than what is kept. */
  private checkLog(): void {
    for (let next = this.reader.bounds().oldest; next <= this.reader.bounds().last; next += 1) {
      try {
        for (const commit of this.reader.commits(next - 1)) {
          this.tolerated(`(commit ${commit.index})`, () => this.checkCertificates(commit))
          this.progress(commit.byteLength)
          next = commit.index + 1
        }
        return
      } catch (error) {
        if (!(error instanceof NarvalError)) throw error
        // Deleted meanwhile.
        if (error instanceof CommitsPrunedError) next = error.oldest - 1
        else if (error.code === 'ERR_STORE_DAMAGED') this.damaged(`(commit ${next})`, error.message)
        else throw error
      }
    }
  }

  private checkCertificates(commit: LoggedCommit): void {
    let lowest = 0
    for (const { author, id, round } of commit.certificates()) {
      if (round < lowest) throw damage('its certificates are not in the order of their rounds')
      lowest = round
      if (round <= this.deletedRound) continue
      const stored = this.file.read((snapshot) => snapshot.get('certificates', this.keys.certificate(round, author)))
      const problem =
        stored === undefined
          ? 'is not there'
          : compareBytes(decodeStoredCertificate(stored).digest, id) !== 0
            ? 'is another'
            : undefined
      if (problem === undefined) continue
      // Deleted meanwhile?
      this.deletedRound = this.readDeletedRound()
      if (round > this.deletedRound) {
        throw damage(`its certificate of authority ${author} in round ${round} ${problem}`)
      }
    }
  }

  /** What a start reads besides. */
  private checkState(): void {
    const { fetched, head, position } = this.file.read((snapshot) => ({
      fetched: snapshot.get('state', this.keys.state('fetched')),
      head: snapshot.get('state', this.keys.state('head')),
      position: snapshot.get('state', this.keys.state('position')),
    }))
    // A log that was taken from others comes before the state at its end.
    const end = fetched && decodeNumbers('what was taken from others', fetched, 1)[0]
    if (end !== undefined && head !== undefined && end === decodeHead(head).index) return
    if ((head === undefined) !== (position === undefined)) throw damage('log and consensus do not go together')
    if (head !== undefined) checkPosition(position!, decodeHead(head))
  }

  private certificateProblem(snapshot: StoreSnapshot, key: Uint8Array, value: Uint8Array): string | undefined {
    const { author, round } = readKey.certificate(key)
    const { bytes, digest } = decodeStoredCertificate(value)
    const { header } = decodeCertificate(bytes, this.reader.settings.authorities)
    if (header.author !== author || header.round !== round) return 'it is of another author or round'
    if (compareBytes(headerId(this.committeeDigest, header), digest) !== 0) return 'its header is another'
    const place = snapshot.get('digests', this.keys.digest(digest))
    return place && encodePlace(round, author).equals(place) ? undefined : '`digests` does not lead to it'
  }

  /** Up to this round certificates may be missing. */
  private readDeletedRound(): number {
    const kept = this.file.read((snapshot) => snapshot.get('state', this.keys.state('kept')))
    return kept === undefined ? 0 : decodeNumbers('what is kept', kept, 2)[0]!
  }

  /** Calls `problem` for each entry of a database, whatever parts of it cannot be read. */
  private checkEntries(
    name: PrimaryDatabaseName,
    problem: (snapshot: StoreSnapshot, key: Buffer, value: Buffer) => string | undefined,
  ): void {
    for (let after: Uint8Array | undefined; ; ) {
      const { found, problems } = this.file.read((snapshot) => {
        const problems: string[] = []
        const onDamage = (error: NarvalError): void => void problems.push(error.message)
        const entries = snapshot.entries(name, CHUNK, { after, onDamage })
        const found = entries.map((entry) => {
          const key = Buffer.from(entry.key)
          const read = (): { bytes: number; why: string | undefined } => {
            const value = snapshot.valueOf(entry)
            return { bytes: value.length, why: problem(snapshot, key, value) }
          }
          return { key, ...tolerating(read, (why) => ({ bytes: 0, why })) }
        })
        return { found, problems }
      })
      for (const why of problems) this.damaged(`(${name})`, why)
      for (const { bytes, key, why } of found) {
        if (why !== undefined) this.damaged(`(${name} ${key.toString('hex')})`, why)
        this.progress(bytes)
      }
      if (found.length < CHUNK) return
      after = found.at(-1)!.key
    }
  }

  private tolerated(name: string, check: () => void): void {
    tolerating(check, (why) => this.damaged(name, why))
  }

  private damaged(name: string, why: string): void {
    if (this.seen.has(name)) return
    this.seen.add(name)
    this.handlers.onDamaged(name, why)
  }

  private progress(bytes: number): void {
    this.entries += 1
    this.bytes += bytes
    this.handlers.onProgress('entries', this.entries, this.bytes)
  }
}

function checkPosition(value: Uint8Array, head: LogHead): void {
  let index: unknown
  try {
    ;({ index } = JSON.parse(Buffer.from(value).toString()) as { index: unknown })
  } catch {
    throw damage('where consensus stands cannot be read')
  }
  if (index !== head.index) throw damage(`the log ends with commit ${head.index}, consensus with ${String(index)}`)
}

function damage(why: string): NarvalError {
  return new NarvalError('ERR_STORE_DAMAGED', why)
}

/** What cannot be read is told, and is no end of the check. */
function tolerating<T, U>(read: () => T, onDamage: (why: string) => U): T | U {
  try {
    return read()
  } catch (error) {
    const isDamage = error instanceof NarvalError && (error.code === 'ERR_STORE_DAMAGED' || error.code === 'ERR_CODEC')
    if (!isDamage) throw error
    return onDamage(error.message)
  }
}
