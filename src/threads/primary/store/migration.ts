/**
 * Takes a primary's store of the former format over. In that one evidence lay under author u16 ‖ round u64, as the bytes of
 * the first record, u32, and two records, of headers or of certificates; and there was no range over the records of the log,
 * which is made of all of them. All else is as it was.
 */
import { NarvalError } from '../../../shared/errors.js'

import { formatOf, META_FORMAT } from '../../../shared/store/format.js'
import {
  decodeNumbers,
  PRIMARY_STORE_FORMAT_FORMER,
  type PrimaryDatabases,
  PrimaryKeys,
} from '../../../shared/store/primary/format.js'
import type { PrimarySettings } from '../../../shared/store/primary/settings.js'
import { StoreFile } from '../../../shared/store/store-snapshot.js'
import { type EvidenceKind, encodeEvidence } from '../../../shared/wire/primary/evidence.js'
import { kindOf } from '../../../shared/wire/primary/record.js'
import { buildRange } from '../commit-log/range-nodes.js'

const KEY_BYTES = 8 + 2 + 8

/** In the transaction that the caller has open, which writes the format as well: all of it happens, or nothing. */
export function migrate(databases: PrimaryDatabases, keys: PrimaryKeys, settings: PrimarySettings): void {
  const { evidence, meta } = databases
  const format = meta.getBinary(META_FORMAT)
  if (format === undefined || formatOf(format) !== BigInt(PRIMARY_STORE_FORMAT_FORMER)) return
  const committee = Buffer.from(settings.committeeDigest, 'hex')
  buildRange(databases, keys, committee)
  const entries = Array.from(evidence.getRange({ start: keys.least, end: keys.end }), ({ key, value }) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
  }))
  for (const { key, value } of entries) {
    if (key.length !== KEY_BYTES) continue
    evidence.removeSync(key)
    const end = value.length < 4 ? 4 : 4 + value.readUInt32BE(0)
    const [first, second] = [value.subarray(4, end), value.subarray(end)]
    const kind = evidenceKind(first)
    // What is no record convicts nobody.
    if (kind === undefined) continue
    const [accused, round] = [key.readUInt16BE(8), Number(key.readBigUInt64BE(10))]
    const made = { kind, accused, epoch: keys.epoch, round, committee, first, second }
    evidence.putSync(keys.evidence(made), Buffer.from(encodeEvidence(made)))
  }
}

/**
 * Before anything of it is touched: a store of the former format can be taken over if its log has its first record still.
 *
 * @throws NarvalError ERR_STORE_FORMAT
 */
export function checkWholeLog(directory: string, epoch: number): void {
  const file = new StoreFile(directory)
  try {
    const log = file.read((snapshot) => snapshot.get('state', new PrimaryKeys(epoch).state('log')))
    const [oldest] = log === undefined ? [1] : decodeNumbers('the start of the log', log, 2)
    if (oldest === 1) return
    throw new NarvalError(
      'ERR_STORE_FORMAT',
      `the primary's store ${directory} is of an earlier version, and its log begins with commit ${oldest}: checkpoints need all commits before it. Run the version that wrote it, or begin with a new store and --recovered`,
    )
  } finally {
    file.close()
  }
}

function evidenceKind(record: Uint8Array): EvidenceKind | undefined {
  const kind = kindOf(record)
  return kind === 'header' ? 'headers' : kind === 'certificate' ? 'certificates' : undefined
}
