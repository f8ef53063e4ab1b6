/**
 * Reads checkpoints, and the range over the records of the log, beside a running node, from another process, or when nobody
 * runs it: as `CommitLogReader` reads the records.
 */
import { NarvalError } from '../../errors.js'
import { type AttestedCheckpoint, decodeAttestedCheckpoint } from '../../wire/primary/checkpoint.js'
import { CHECKPOINT_INTERVAL } from '../../wire/primary/limits.js'
import { type MountainRange, type NodePlace, peakPlaces, prove } from '../../wire/primary/mountain-range.js'
import { sha256 } from '../../wire/primary/sha256.js'
import { StoreFile, type StoreSnapshot } from '../store-snapshot.js'
import { damaged, decodeHead, decodeNumbers, nodeOf, PrimaryKeys, readKey } from './format.js'
import type { PrimarySettings } from './settings.js'

export interface StoredCheckpoint {
  readonly checkpoint: AttestedCheckpoint
  /** The record. */
  readonly bytes: Uint8Array
}

export class CheckpointReader {
  private readonly file: StoreFile
  private readonly keys: PrimaryKeys
  private readonly settings: PrimarySettings

  /** @param settings those of the store. @throws NarvalError ERR_FILE_MISSING */
  constructor(directory: string, settings: PrimarySettings) {
    this.file = new StoreFile(directory)
    this.keys = new PrimaryKeys(settings.epoch)
    this.settings = settings
  }

  close(): void {
    this.file.close()
  }

  /** The checkpoint of this commit. @throws NarvalError ERR_STORE_DAMAGED */
  at(index: number): StoredCheckpoint | undefined {
    return this.read((snapshot) => this.find(snapshot, index))
  }

  /**
   * The latest of a commit that is in the log. Of a node that is behind there may be later ones, of commits that it does not
   * have yet.
   *
   * @throws NarvalError ERR_STORE_DAMAGED
   */
  latest(): StoredCheckpoint | undefined {
    return this.read((snapshot) => {
      const number = (name: 'head' | 'log' | 'attested'): number => {
        const value = snapshot.get('state', this.keys.state(name))
        return value === undefined ? 0 : decodeNumbers(name, value.subarray(0, 8), 1)[0]!
      }
      const [attested, last, oldest] = [number('attested'), number('head'), number('log')]
      if (attested === 0) return undefined
      const found = attested <= last ? this.find(snapshot, attested) : undefined
      const highest = Math.floor(Math.min(attested, last) / CHECKPOINT_INTERVAL) * CHECKPOINT_INTERVAL
      for (let index = highest; found === undefined && index >= Math.max(1, oldest - 1); index -= CHECKPOINT_INTERVAL) {
        const earlier = this.find(snapshot, index)
        if (earlier !== undefined) return earlier
      }
      return found
    })
  }

  /**
   * The first of this commit or one behind it, of the commits that are in the log; undefined if there is none yet.
   *
   * @throws NarvalError ERR_STORE_DAMAGED
   */
  firstFrom(index: number): StoredCheckpoint | undefined {
    return this.read((snapshot) => {
      const [entry] = snapshot.entries('checkpoints', 1, { after: this.keys.checkpoint(index - 1) })
      const head = snapshot.get('state', this.keys.state('head'))
      if (entry === undefined || head === undefined) return undefined
      const found = readKey.checkpoint(entry.key).index
      return found <= decodeHead(head).index ? this.find(snapshot, found) : undefined
    })
  }

  /** The range over the records up to this one. @throws NarvalError ERR_STORE_DAMAGED */
  range(index: number): MountainRange {
    return this.read((snapshot) => ({
      count: index,
      peaks: peakPlaces(index).map((place) => this.node(snapshot, place)),
    }))
  }

  /** The node of height 0 of a record; undefined if there is none. */
  leaf(index: number): Uint8Array | undefined {
    return this.read((snapshot) => {
      const entry = snapshot.get('range', this.keys.range(index))
      return entry && nodeOf(entry, { record: index, height: 0 })
    })
  }

  /** That a record is in its place in the range up to a later one. @throws NarvalError ERR_STORE_DAMAGED */
  prove(record: number, count: number): Uint8Array[] {
    return this.read((snapshot) => prove(sha256, record, count, (place) => this.node(snapshot, place)))
  }

  private node(snapshot: StoreSnapshot, place: NodePlace): Uint8Array {
    return nodeOf(snapshot.get('range', this.keys.range(place.record)), place)
  }

  private find(snapshot: StoreSnapshot, index: number): StoredCheckpoint | undefined {
    const bytes = snapshot.get('checkpoints', this.keys.checkpoint(index))
    if (bytes === undefined) return undefined
    const checkpoint = readCheckpoint(bytes, index, this.settings.authorities)
    return { checkpoint, bytes }
  }

  private read<T>(read: (snapshot: StoreSnapshot) => T): T {
    return this.file.read(read, 'durable')
  }
}

/** What the store has under this index. @throws NarvalError ERR_STORE_DAMAGED */
export function readCheckpoint(bytes: Uint8Array, index: number, authorities: number): AttestedCheckpoint {
  let checkpoint: AttestedCheckpoint
  try {
    checkpoint = decodeAttestedCheckpoint(bytes, authorities)
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_CODEC') throw error
    throw damaged(`the checkpoint of commit ${index}: ${error.message}`)
  }
  if (checkpoint.index === index) return checkpoint
  throw damaged(`the checkpoint of commit ${index} says that it is of ${checkpoint.index}`)
}
