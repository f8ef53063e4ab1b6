/**
 * The certificates on the disk: those that a restart hands to consensus again, and older ones for peers that are behind.
 * What is deleted is of rounds below `gcRound` always: the lowest first, when it is too many rounds behind, or all of them
 * take too many bytes.
 */
import { DIGEST_BYTES } from '../../../shared/constants.js'
import {
  decodeNumbers,
  decodePlace,
  decodeStoredCertificate,
  encodeNumbers,
  encodePlace,
  type PrimaryDatabases,
  type PrimaryKeys,
  readKey,
  type StoredCertificate,
} from '../../../shared/store/primary/format.js'
import type { Put } from '../../../shared/store/write-outcomes.js'
import type { Round } from '../consensus/types.js'

export interface CertificatesOptions {
  /** Rounds below `gcRound` that are kept. */
  readonly roundsKept: number
  readonly bytesKept: number
}

export class Certificates {
  private readonly options: CertificatesOptions
  private readonly databases: PrimaryDatabases
  private readonly keys: PrimaryKeys
  private deletedRound: Round
  private bytes: number
  private isChanged = false

  constructor(options: CertificatesOptions, databases: PrimaryDatabases, keys: PrimaryKeys) {
    this.options = options
    this.databases = databases
    this.keys = keys
    const kept = databases.state.getBinary(keys.state('kept'))
    const [deletedRound, bytes] = kept === undefined ? [0, 0] : decodeNumbers('what is kept', kept, 2)
    this.deletedRound = deletedRound!
    this.bytes = bytes!
  }

  /** Nothing of this round or above it was deleted, or never was here. */
  get lowestRound(): Round {
    return this.deletedRound + 1
  }

  put(round: Round, author: number, { bytes, digest }: StoredCertificate): Put {
    const key = this.keys.certificate(round, author)
    const { certificates, digests } = this.databases
    // The same certificate with other votes takes the place of the one before.
    this.bytes += DIGEST_BYTES + bytes.length - (certificates.getBinary(key)?.length ?? 0)
    void certificates.put(key, Buffer.concat([digest, bytes]))
    this.isChanged = true
    return digests.put(this.keys.digest(digest), encodePlace(round, author))
  }

  /** Commits were taken from others, without their certificates, which are of rounds up to this one. */
  absentThrough(round: Round): void {
    if (round <= this.deletedRound) return
    this.deletedRound = round
    this.isChanged = true
  }

  /** Deletes at most so many, and puts what follows from all that was put and deleted in this transaction. */
  finish(gcRound: Round, deletesMax: number): Put | undefined {
    this.collect(gcRound, deletesMax)
    if (!this.isChanged) return undefined
    this.isChanged = false
    return this.databases.state.put(
      this.keys.state('kept'),
      encodeNumbers([this.deletedRound, Math.max(0, this.bytes)]),
    )
  }

  private collect(gcRound: Round, deletesMax: number): void {
    const { bytesKept, roundsKept } = this.options
    const { certificates, digests } = this.databases
    const isDue = (round: Round): boolean => round <= gcRound - roundsKept || this.bytes > bytesKept
    if (this.deletedRound >= gcRound || !isDue(this.deletedRound)) return
    const range = { start: this.keys.least, end: this.keys.certificate(gcRound, 0), limit: deletesMax }
    for (const { key, value } of certificates.getRange(range)) {
      const { author, round } = readKey.certificate(key)
      if (!isDue(round)) return
      void certificates.remove(this.keys.certificate(round, author))
      void digests.remove(this.keys.digest(decodeStoredCertificate(value).digest))
      this.bytes -= value.length
      this.deletedRound = round
      this.isChanged = true
    }
  }

  /** The record of a certificate. */
  find(digest: Uint8Array): Uint8Array | undefined {
    const place = this.databases.digests.getBinary(this.keys.digest(digest))
    if (place === undefined) return undefined
    const { author, round } = decodePlace(place)
    const value = this.databases.certificates.getBinary(this.keys.certificate(round, author))
    return value === undefined ? undefined : decodeStoredCertificate(value).bytes
  }

  /** Records of rounds from one on, at most so many, by ascending round. */
  from(round: Round, toRound: Round, limit: number): Uint8Array[] {
    const range = { start: this.keys.certificate(round, 0), end: this.keys.certificate(toRound + 1, 0), limit }
    return Array.from(this.databases.certificates.getRange(range), ({ value }) => decodeStoredCertificate(value).bytes)
  }
}
