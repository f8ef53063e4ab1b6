/** Which records a bootstrap node keeps: those that authorities of its committee have signed, the newest of each node. Pure. */
import { type Committee, committeeDigest } from '../../shared/config/committee.js'
import { type AddressRecordRefusal, checkAddressRecord } from '../../shared/wire/address-record.js'

export class RecordKeeper {
  private readonly committee: Committee
  private readonly digest: Uint8Array
  /** The time of the newest record of each key: as many as the committee has nodes. */
  private readonly times = new Map<string, number>()

  constructor(committee: Committee) {
    this.committee = committee
    this.digest = committeeDigest(committee)
  }

  /** As many as there can be: a primary and the workers of each authority. */
  static recordsMax({ authorities }: Committee): number {
    return authorities.reduce((sum, { workers }) => sum + 1 + workers.size, 0)
  }

  /**
   * Why a record is not taken; undefined if it is. One that is older than the one that is known is not, so that nobody can
   * bring back an address that an authority has left.
   */
  take(key: Uint8Array, value: Uint8Array, nowMs: number): AddressRecordRefusal | 'older' | undefined {
    const { committee, digest } = this
    const verdict = checkAddressRecord(value, { committee, committeeDigest: digest, key, nowMs })
    if (!verdict.ok) return verdict.reason
    const name = Buffer.from(key).toString('latin1')
    const { timeMs } = verdict.record
    if (timeMs < (this.times.get(name) ?? 0)) return 'older'
    this.times.set(name, timeMs)
    return undefined
  }
}
