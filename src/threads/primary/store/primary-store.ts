/**
 * The primary's store, and its one writer. Format and keys: shared/store/primary/format.ts.
 *
 * What kill -9 leaves: the writes of a turn are one transaction, all or none, and `onDurable` is called when they are on
 * the disk. So a vote, a header or a commit that somebody was told of is there at the next start. A turn that was not told
 * may be there as well: it says what the primary decided, and the primary goes on from it.
 */
import { randomBytes } from 'node:crypto'
import { NarvalError } from '../../../shared/errors.js'
import { checkFileSystem } from '../../../shared/store/file-system.js'
import { formatOf, META_BACKUP, META_FORMAT, META_STORE_ID, STORE_ID_BYTES } from '../../../shared/store/format.js'
import { prepareFile } from '../../../shared/store/prepare-file.js'
import {
  checkPrimaryFormat,
  damaged,
  decodeNumbers,
  encodeNumbers,
  META_SETTINGS,
  openPrimaryDatabases,
  PRIMARY_STORE_FORMAT,
  PRIMARY_STORE_FORMAT_FORMER,
  type PrimaryDatabases,
  PrimaryKeys,
} from '../../../shared/store/primary/format.js'
import { hasSignedNothing, isFresh, removeFreshMarker } from '../../../shared/store/primary/fresh-marker.js'
import {
  checkSettings,
  decodeSettings,
  encodeSettings,
  type PrimarySettings,
} from '../../../shared/store/primary/settings.js'
import { readMeta } from '../../../shared/store/read-meta.js'
import { checkFreeSpace, storeError } from '../../../shared/store/store-error.js'
import { StoreWatch } from '../../../shared/store/store-watch.js'
import { type Put, WriteOutcomes } from '../../../shared/store/write-outcomes.js'
import type { NodePlace } from '../../../shared/wire/primary/mountain-range.js'
import { CommitLog } from '../commit-log/commit-log.js'
import type { Round } from '../consensus/types.js'
import type { CertificateReader } from '../stored-state.js'
import { Certificates } from './certificates.js'
import {
  CERTIFICATE_BYTES_KEPT,
  CERTIFICATE_ROUNDS_KEPT,
  RETENTION_COMMITS_DEFAULT,
  RETENTION_LOG_BYTES_DEFAULT,
} from './limits.js'
import { checkWholeLog, migrate } from './migration.js'
import { encodeSigning, readFetched, readRuns, readStoredState } from './stored-state.js'
import { type Turn, TurnQueue } from './turn-queue.js'
import { TurnWrites } from './turn-writes.js'
import type { Signing, StoredState, Write } from './writes.js'

/** Of an authority that has never signed anything. */
const FROM_THE_START: Signing = { state: 'above', round: 0 }

export interface PrimaryStoreOptions {
  readonly directory: string
  /** What the store is made for, or must have been made for. */
  readonly settings: PrimarySettings
  /** The store may be older than what this authority has signed since: nothing is signed until the others have spoken. */
  readonly isRecovered?: boolean
  readonly retentionCommits?: number
  readonly retentionBytes?: number
  readonly certificateRoundsKept?: number
  readonly certificateBytesKept?: number
}

export interface PrimaryStoreDependencies {
  /** A write failed, or a flush did not end: nothing more can be promised. */
  readonly onFatal: (error: NarvalError) => void
  /** What somebody who runs the node should know. */
  readonly onNotice: (text: string) => void
  /** The log has so many commits on the disk. */
  readonly onCommits?: (lastIndex: number) => void
  /** A transaction is on its way to the disk. The function that it returns is called when it is there. */
  readonly onFlush?: () => () => void
  /** Now and then: the bytes of the store's file. */
  readonly onFileBytes?: (bytes: number) => void
  /** Nothing may be signed until the others have spoken: throws if they never can. Called before anything is written. */
  readonly checkRecoverable?: () => void
}

export class PrimaryStore implements CertificateReader {
  /** Of this store alone, 16 bytes: whoever remembers it knows whether it meets the same one. */
  readonly storeId: Uint8Array
  private readonly options: PrimaryStoreOptions
  private readonly dependencies: PrimaryStoreDependencies
  private readonly databases: PrimaryDatabases
  private readonly keys: PrimaryKeys
  private readonly kept: Certificates
  private readonly log: CommitLog
  private readonly writes: TurnWrites
  private readonly outcomes: WriteOutcomes
  private readonly turns = new TurnQueue<Write>((turns) => this.commit(turns))
  private watch: StoreWatch | undefined
  /** Resolves with the first write or flush that failed. */
  private readonly failed: Promise<NarvalError>

  /** The caller holds the store's lock. @throws NarvalError ERR_STORE_* */
  constructor(options: PrimaryStoreOptions, dependencies: PrimaryStoreDependencies) {
    const { directory, settings } = options
    this.options = options
    this.dependencies = dependencies
    this.keys = new PrimaryKeys(settings.epoch)
    checkFreeSpace(directory)
    checkFileSystem(directory)
    prepareFile(directory, { log: dependencies.onNotice, logs: ['commits'] })
    const signing = this.signingAtStart()
    if (signing?.state === 'recovering') dependencies.checkRecoverable?.()
    try {
      this.databases = openPrimaryDatabases(directory)
      if (signing === undefined && this.isRecovering) dependencies.checkRecoverable?.()
      this.storeId = this.openMeta(signing)
      this.kept = new Certificates(
        {
          roundsKept: options.certificateRoundsKept ?? CERTIFICATE_ROUNDS_KEPT,
          bytesKept: options.certificateBytesKept ?? CERTIFICATE_BYTES_KEPT,
        },
        this.databases,
        this.keys,
      )
      this.log = new CommitLog(
        {
          retentionCommits: options.retentionCommits ?? RETENTION_COMMITS_DEFAULT,
          retentionBytes: options.retentionBytes ?? RETENTION_LOG_BYTES_DEFAULT,
        },
        { databases: this.databases, keys: this.keys },
      )
      this.writes = new TurnWrites({ databases: this.databases, keys: this.keys, log: this.log, kept: this.kept })
    } catch (error) {
      throw error instanceof NarvalError ? error : storeError(directory, error)
    }
    let fail: (error: NarvalError) => void = () => {}
    this.failed = new Promise((resolve) => {
      fail = resolve
    })
    this.outcomes = new WriteOutcomes(directory, (error) => {
      fail(error)
      dependencies.onFatal(error)
    })
  }

  /**
   * Has what an earlier run committed on the disk: it counts as said from now on, and a run that was killed may not have
   * flushed it.
   */
  async open(): Promise<void> {
    const { directory } = this.options
    await this.outcomes.settle(
      this.databases.meta.put(META_FORMAT, encodeNumbers([PRIMARY_STORE_FORMAT])) as Put,
      'durable',
    )
    removeFreshMarker(directory)
    this.sayBackup()
    this.watch = new StoreWatch(directory, {
      onFileBytes: (bytes) => this.dependencies.onFileBytes?.(bytes),
      onFlushFailed: (error) => this.outcomes.flushFailed(error),
      clearDeadReaders: () => this.databases.root.readerCheck(),
    })
    this.dependencies.onCommits?.(this.log.head.index)
  }

  /** The store says that nothing may be signed before the others have spoken. */
  private get isRecovering(): boolean {
    return this.databases.state.getBinary(this.keys.state('signing'))?.[0] === 0
  }

  /** Of a backup that was not begun with before: why nothing is signed, though nobody asked for that. */
  private sayBackup(): void {
    const madeAt = this.databases.meta.getBinary(META_BACKUP)
    if (madeAt === undefined || !this.isRecovering) return
    const when = new Date(decodeNumbers('backup', madeAt, 1)[0]!).toISOString()
    this.dependencies.onNotice(
      `The store is a backup, made at ${when}: it may be older than what this key has signed, so it is begun with as with --recovered`,
    )
  }

  /** What the primary begins with. @throws NarvalError ERR_STORE_DAMAGED */
  state(): StoredState {
    const state = readStoredState(this.databases, this.keys, { certificates: this.kept, log: this.log })
    const position = (state.consensus as { readonly index?: unknown } | undefined)?.index ?? 0
    const { index } = this.log.head
    // One transaction wrote both, but for commits that others have ordered, which come before the state after them.
    if (position === index) return state
    if (readFetched(this.databases, this.keys) === index) {
      return { ...state, unfinished: readRuns(this.databases, this.keys) }
    }
    throw damaged(`consensus stands at commit ${position}, and the log ends at commit ${index}`)
  }

  /** The index of the last commit that was handed in. */
  get lastCommit(): number {
    return this.log.head.index
  }

  /** Turns that are not on the disk: whoever hands them in waits while there are too many. */
  get turnsWaiting(): number {
    return this.turns.size
  }

  /**
   * Takes the writes of a turn. `onDurable` is called when they are on the disk, in the order of the turns.
   *
   * @param isUrgent whether somebody waits for that; what is not urgent goes with what is, and is held for a moment
   */
  write(writes: readonly Write[], onDurable: () => void, isUrgent = true): void {
    this.turns.push({ writes, onDurable, isUrgent })
  }

  /** The record of a certificate. */
  certificate(digest: Uint8Array): Uint8Array | undefined {
    return this.kept.find(digest)
  }

  /** Records of the certificates of these rounds, both included, by ascending round; at most so many. */
  certificates(fromRound: Round, toRound: Round, countMax: number): readonly Uint8Array[] {
    return this.kept.from(fromRound, toRound, countMax)
  }

  /** The record of the checkpoint of this commit that a quorum has signed, if it is kept; of the latest one: 0. */
  checkpoint(index: number): Uint8Array | undefined {
    return this.log.checkpoint(index)
  }

  get oldestCommit(): number {
    return this.log.oldestIndex
  }

  /** The record of a commit, in pieces; none if it is not kept. */
  commitRecord(index: number): readonly Uint8Array[] {
    return this.log.record(index)
  }

  /** A node of the range over the records; undefined if it is not kept. */
  rangeNode(place: NodePlace): Uint8Array | undefined {
    return this.log.node(place)
  }

  /** Certificates of this round and of all above it are kept. */
  get lowestRound(): Round {
    return this.kept.lowestRound
  }

  /**
   * What was handed in is on the disk before it closes. Rejects, and leaves LMDB as it is, if a write or a flush has failed
   * or fails meanwhile: what waits for it never ends.
   */
  async close(): Promise<void> {
    const failure = await Promise.race([this.turns.drained(), this.failed])
    await this.watch?.close()
    if (failure !== undefined) throw failure
    await this.databases.root.close()
  }

  /**
   * Before LMDB makes databases in what may be another store: refuses one that was made for something else. Returns what is
   * to be written down of what we may sign; undefined if what the store says holds.
   */
  private signingAtStart(): Signing | undefined {
    const { directory, isRecovered = false, settings } = this.options
    const format = readMeta(directory, META_FORMAT)
    if (format !== undefined) {
      checkPrimaryFormat(format, directory, true)
      if (formatOf(format) === BigInt(PRIMARY_STORE_FORMAT_FORMER)) checkWholeLog(directory, settings.epoch)
      checkSettings(decodeSettings(readMeta(directory, META_SETTINGS)), settings, directory)
      if (isRecovered) return { state: 'recovering' }
      return isFresh(directory, settings.authority) && hasSignedNothing(directory) ? FROM_THE_START : undefined
    }
    return isFresh(directory, settings.authority) && !isRecovered ? FROM_THE_START : { state: 'recovering' }
  }

  /** Makes a store in a new file, or takes one of the former format over, in one transaction. Returns its id. */
  private openMeta(signing: Signing | undefined): Uint8Array {
    const { meta, root, state } = this.databases
    const { settings } = this.options
    const found = meta.getBinary(META_STORE_ID)
    const id = new Uint8Array(found ?? randomBytes(STORE_ID_BYTES))
    root.transactionSync(() => {
      if (found === undefined) {
        meta.putSync(META_STORE_ID, id)
        meta.putSync(META_SETTINGS, encodeSettings(settings))
      } else migrate(this.databases, this.keys, settings)
      meta.putSync(META_FORMAT, encodeNumbers([PRIMARY_STORE_FORMAT]))
      if (signing !== undefined) state.putSync(this.keys.state('signing'), encodeSigning(signing))
    })
    return id
  }

  private async commit(turns: readonly Turn<Write>[]): Promise<void> {
    // What is read below is what the last transaction left.
    this.databases.root.resetReadTxn()
    const before = this.log.head.index
    const put = this.writes.put(turns.flatMap(({ writes }) => writes))
    if (put === undefined) return
    const onFlushed = this.dependencies.onFlush?.()
    await this.outcomes.settle(put, 'durable')
    onFlushed?.()
    if (this.log.head.index > before) this.dependencies.onCommits?.(this.log.head.index)
  }
}
