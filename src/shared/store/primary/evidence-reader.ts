/** Reads the evidence that a primary's store keeps, whether a node runs it or not. */
import { decodeEvidence } from '../../wire/primary/evidence.js'
import { META_FORMAT } from '../format.js'
import { StoreFile } from '../store-snapshot.js'
import { checkPrimaryFormat, damaged, META_SETTINGS, PrimaryKeys } from './format.js'
import { decodeSettings, type PrimarySettings } from './settings.js'

export interface StoredEvidence {
  readonly settings: PrimarySettings
  /** Records, by accused, kind and round. There are at most a few of each: one reading takes all. */
  readonly records: readonly Uint8Array[]
}

/** @throws NarvalError ERR_FILE_MISSING, ERR_FILE_UNREADABLE, ERR_STORE_FORMAT, ERR_STORE_DAMAGED */
export function readEvidence(directory: string): StoredEvidence {
  const file = new StoreFile(directory)
  try {
    return file.read((snapshot) => {
      const format = snapshot.get('meta', META_FORMAT)
      if (format?.length !== 8) throw damaged(`it has no format, in ${directory}`)
      checkPrimaryFormat(format, directory)
      const settings = decodeSettings(snapshot.get('meta', META_SETTINGS))
      const keys = new PrimaryKeys(settings.epoch)
      const entries = snapshot.entries('evidence', Number.POSITIVE_INFINITY, { after: keys.least })
      const records = entries.map((entry) => new Uint8Array(snapshot.valueOf(entry)))
      for (const record of records) decodeEvidence(record, settings.authorities)
      return { settings, records }
    }, 'durable')
  } finally {
    file.close()
  }
}
