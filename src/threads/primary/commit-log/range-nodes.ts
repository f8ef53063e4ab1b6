/** The range over the records of a log, as it lies in the store: its peaks, and what a log of the format before lacks. */
import { nodeOf, type PrimaryDatabases, type PrimaryKeys, readKey } from '../../../shared/store/primary/format.js'
import { commitDigest } from '../../../shared/wire/primary/commit-digest.js'
import { append, EMPTY_RANGE, peakPlaces } from '../../../shared/wire/primary/mountain-range.js'
import { sha256 } from '../../../shared/wire/primary/sha256.js'

/** Of the range over the records up to this one, the highest first. @throws NarvalError ERR_STORE_DAMAGED */
export function readPeaks({ range }: PrimaryDatabases, keys: PrimaryKeys, index: number): Uint8Array[] {
  return peakPlaces(index).map((place) => nodeOf(range.getBinary(keys.range(place.record)), place))
}

/** Puts the nodes of a log whose first record is there. Within a transaction. */
export function buildRange({ commits, range }: PrimaryDatabases, keys: PrimaryKeys, committeeDigest: Uint8Array): void {
  let mountains = EMPTY_RANGE
  let parts: Buffer[] = []
  const end = (): void => {
    if (parts.length === 0) return
    const next = append(sha256, mountains, commitDigest(committeeDigest, parts))
    mountains = next.range
    range.putSync(keys.range(mountains.count), Buffer.concat(next.nodes))
    parts = []
  }
  for (const { key, value } of commits.getRange({ start: keys.least, end: keys.end })) {
    if (readKey.commit(key).part === 0) end()
    parts.push(Buffer.from(value))
  }
  end()
}
