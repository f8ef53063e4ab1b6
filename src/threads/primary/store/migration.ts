/**
 * Takes a primary's store of the former format over. In that one evidence lay under author u16 ‖ round u64, as the bytes of
 * the first record, u32, and two records, of headers or of certificates. All else is as it was.
 */

import { formatOf, META_FORMAT } from '../../../shared/store/format.js'
import {
  PRIMARY_STORE_FORMAT_FORMER,
  type PrimaryDatabases,
  type PrimaryKeys,
} from '../../../shared/store/primary/format.js'
import type { PrimarySettings } from '../../../shared/store/primary/settings.js'
import { type EvidenceKind, encodeEvidence } from '../../../shared/wire/primary/evidence.js'
import { kindOf } from '../../../shared/wire/primary/record.js'

const KEY_BYTES = 8 + 2 + 8

/** In the transaction that the caller has open, which writes the format as well: all of it happens, or nothing. */
export function migrate(databases: PrimaryDatabases, keys: PrimaryKeys, settings: PrimarySettings): void {
  const { evidence, meta } = databases
  const format = meta.getBinary(META_FORMAT)
  if (format === undefined || formatOf(format) !== BigInt(PRIMARY_STORE_FORMAT_FORMER)) return
  const committee = Buffer.from(settings.committeeDigest, 'hex')
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

function evidenceKind(record: Uint8Array): EvidenceKind | undefined {
  const kind = kindOf(record)
  return kind === 'header' ? 'headers' : kind === 'certificate' ? 'certificates' : undefined
}
