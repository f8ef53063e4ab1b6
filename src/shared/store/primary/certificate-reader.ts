/** Reads certificates beside a running node, or when nobody runs it: as `CommitLogReader` reads the log. */
import { StoreFile } from '../store-snapshot.js'
import { decodePlace, decodeStoredCertificate, PrimaryKeys } from './format.js'
import type { PrimarySettings } from './settings.js'

export class CertificateReader {
  private readonly file: StoreFile
  private readonly keys: PrimaryKeys

  /** @param settings those of the store. @throws NarvalError ERR_FILE_MISSING */
  constructor(directory: string, settings: PrimarySettings) {
    this.file = new StoreFile(directory)
    this.keys = new PrimaryKeys(settings.epoch)
  }

  /** The record of a certificate; undefined if it is beyond retention, or never was here. @throws NarvalError ERR_STORE_DAMAGED */
  find(digest: Uint8Array): Uint8Array | undefined {
    return this.file.read((snapshot) => {
      const place = snapshot.get('digests', this.keys.digest(digest))
      if (place === undefined) return undefined
      const { author, round } = decodePlace(place)
      const value = snapshot.get('certificates', this.keys.certificate(round, author))
      return value && decodeStoredCertificate(value).bytes
    }, 'durable')
  }

  close(): void {
    this.file.close()
  }
}
