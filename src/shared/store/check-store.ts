/**
 * Reads a whole store, whether a node runs it or not, and says what of it is damaged: which batches are not what their
 * digests name, and which digests some part of the store names and another does not.
 */
import { DIGEST_BYTES } from '../constants.js'
import { encodeBase64 } from '../crypto/public-key.js'
import { NarvalError } from '../errors.js'
import {
  decodeIndexEntry,
  decodeOwnEntry,
  digestOfKey,
  leastKey,
  META_FORMAT,
  numberOfKey,
  roundKey,
  sequenceKey,
  UNCOMMITTED,
} from './format.js'
import { checkPrimaryStore } from './primary/check-primary-store.js'
import { isPrimaryFormat } from './primary/format.js'
import { openStoreReader, type StoreReader } from './store-reader.js'
import { StoreFile, type StoreSnapshot } from './store-snapshot.js'

export interface CheckHandlers {
  /** `name` is the digest in base64, or the part of the file that cannot be read. */
  readonly onDamaged: (name: string, why: string) => void
  /** So many batches, or entries of a primary's store, were read so far, of so many bytes. */
  readonly onProgress: (what: CheckResult['what'], count: number, bytes: number) => void
}

export interface CheckResult {
  readonly what: 'batches' | 'entries'
  readonly count: number
  readonly bytes: number
  readonly damaged: number
}

/** Entries that are looked at in one snapshot: few, since a running node uses its pages again. */
const CHUNK = 64

/** A worker's store, or a primary's. @throws NarvalError ERR_FILE_MISSING, ERR_FILE_UNREADABLE, ERR_STORE_FORMAT */
export function checkStore(directory: string, handlers: CheckHandlers): CheckResult {
  return isPrimaryFormat(formatIn(directory))
    ? checkPrimaryStore(directory, handlers)
    : checkWorkerStore(directory, handlers)
}

/** The format that the store says it has; undefined if that cannot be read, which is then said of its parts. */
function formatIn(directory: string): Uint8Array | undefined {
  const file = new StoreFile(directory)
  try {
    return tolerated(
      () => file.read((snapshot) => snapshot.get('meta', META_FORMAT)),
      () => {},
    )
  } finally {
    file.close()
  }
}

function checkWorkerStore(directory: string, handlers: CheckHandlers): CheckResult {
  const reader = openStoreReader(directory)
  const file = new StoreFile(directory)
  const seen = new Set<string>()
  let batches = 0
  let bytes = 0
  const onDamaged = (name: string, why: string): void => {
    if (seen.has(name)) return
    seen.add(name)
    handlers.onDamaged(name, why)
  }
  try {
    for (const part of TREES) {
      for (const key of keysOf(file, part, (why) => onDamaged(`(${part})`, why))) {
        if (key.length !== KEY_BYTES[part]) onDamaged(`(${part})`, `a key of ${key.length} bytes`)
        else if (part === 'index') {
          const read = checkBatch(reader, key, onDamaged)
          batches += 1
          bytes += read
          handlers.onProgress('batches', batches, bytes)
        } else if (part === 'own') checkOwn(file, key, onDamaged)
        else checkNamed(file, part, key, digestOfKey(key), onDamaged)
      }
    }
    return { what: 'batches', count: batches, bytes, damaged: seen.size }
  } finally {
    reader.close()
    file.close()
  }
}

/** All parts of a store that name digests, the index first. */
const TREES = ['index', 'batches', 'stamps', 'own', 'unreported', 'uncommitted'] as const
type Tree = (typeof TREES)[number]
const KEY_BYTES: Record<Tree, number> = {
  index: DIGEST_BYTES,
  batches: leastKey(0n).length,
  stamps: leastKey(0n).length,
  own: sequenceKey(0n).length,
  unreported: leastKey(0n).length,
  uncommitted: leastKey(0n).length,
}

/** All keys of a database, whatever parts of it cannot be read; of those it tells. */
function* keysOf(file: StoreFile, tree: Tree, onDamage: (why: string) => void): Generator<Uint8Array> {
  for (let after: Uint8Array | undefined; ; ) {
    const { keys, problems } = file.read((snapshot) => {
      const problems: string[] = []
      const read = (): Uint8Array[] => {
        const options = { after, onDamage: (error: NarvalError) => problems.push(error.message) }
        return snapshot.entries(tree, CHUNK, options).map(({ key }) => new Uint8Array(key))
      }
      return { keys: tolerated(read, (why) => problems.push(why)) ?? [], problems }
    })
    for (const why of new Set(problems)) onDamage(why)
    yield* keys
    if (keys.length < CHUNK) return
    after = keys.at(-1)
  }
}

/** Returns the bytes that were read. */
function checkBatch(reader: StoreReader, digest: Uint8Array, onDamaged: CheckHandlers['onDamaged']): number {
  const name = encodeBase64(digest)
  const batch = tolerated(
    () => reader.get(digest),
    (why) => onDamaged(name, why),
  )
  // Deleted meanwhile, or told of.
  if (batch === undefined) return 0
  if (!batch.hasStamp) onDamaged(name, 'it has no stamp: it would never be deleted')
  if (!batch.isListed) onDamaged(name, '`batches` does not list it: its segment would never be free')
  if (!batch.isWhole) {
    onDamaged(name, batch.bytes.length === 0 ? 'the batch is not there' : 'the bytes are not those of this digest')
  }
  return batch.bytes.length
}

/** What is named beside the index must be in the index, and there: all is written in one transaction. */
function checkNamed(
  file: StoreFile,
  tree: Tree,
  key: Uint8Array,
  digest: Uint8Array,
  onDamaged: CheckHandlers['onDamaged'],
): void {
  const problem = (snapshot: StoreSnapshot): string | undefined => {
    const value = snapshot.get('index', digest)
    // Deleted meanwhile.
    if (!snapshot.has(tree, key)) return undefined
    if (value === undefined) return `${tree} names it, and the index does not`
    const { placed, sequence, stamp } = decodeIndexEntry(value)
    if (tree === 'unreported' || tree === 'uncommitted') {
      if (sequence !== numberOfKey(key)) return `${tree} has it under another sequence than the index`
      const isCommitted = tree === 'uncommitted' && stamp !== UNCOMMITTED
      return isCommitted ? 'uncommitted has it, and the index says that it is committed' : undefined
    }
    const isThere = roundKey(tree === 'batches' ? placed : stamp, digest).equals(key)
    return isThere ? undefined : `${tree} has it where the index does not say`
  }
  const why = tolerated(
    () => file.read(problem),
    (error) => onDamaged(encodeBase64(digest), error),
  )
  if (why !== undefined) onDamaged(encodeBase64(digest), why)
}

/** What `own` has under a sequence must be in the index, with that sequence. */
function checkOwn(file: StoreFile, key: Uint8Array, onDamaged: CheckHandlers['onDamaged']): void {
  const sequence = numberOfKey(key)
  const problem = (snapshot: StoreSnapshot): string | undefined => {
    const value = snapshot.get('own', key)
    // Deleted meanwhile.
    if (value === undefined) return undefined
    const entry = snapshot.get('index', decodeOwnEntry(value).digest)
    if (entry === undefined) return 'own names a batch that the index does not'
    return decodeIndexEntry(entry).sequence === sequence
      ? undefined
      : 'own has it under another sequence than the index'
  }
  const name = `(own, sequence ${sequence})`
  const why = tolerated(
    () => file.read(problem),
    (error) => onDamaged(name, error),
  )
  if (why !== undefined) onDamaged(name, why)
}

function tolerated<T>(read: () => T, onDamage: (why: string) => void): T | undefined {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof NarvalError) || error.code !== 'ERR_STORE_DAMAGED') throw error
    onDamage(error.message)
    return undefined
  }
}
