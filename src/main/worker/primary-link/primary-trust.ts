/**
 * What is taken from whom on the port for the primary's messages. Pure.
 *
 * The port has no authentication (the reference's messages are not signed), so it is treated as hostile. Our own primary
 * is known by its IP address alone; what else runs on its machine is trusted with it.
 *
 * | message                             | our primary's address | any other address                 |
 * |-------------------------------------|-----------------------|-----------------------------------|
 * | Cleanup                             | taken                 | refused, connection closed        |
 * | Synchronize, target is our own key  | taken                 | taken, at a rate for each source  |
 * | Synchronize, target is another      | taken                 | refused, connection closed        |
 * | Synchronize, target is unknown      | refused               | refused, connection closed        |
 *
 * The second line is the reference's habit: its primary asks the *author's* worker for what it misses, not its own.
 */
import type { Committee } from '../../../shared/config/committee.js'
import { PUSH_AGAIN_QUEUE_MAX, SYNC_PENDING_MAX } from '../../../shared/constants.js'
import type { PrimaryRefusal } from '../../../shared/refusals.js'

/** What the decision needs of a message. */
export type PrimaryRequest =
  | { readonly type: 'Cleanup' }
  /** `target` is an authority's index, -1 for a key outside the committee. */
  | { readonly type: 'Synchronize'; readonly digestCount: number; readonly target: number }

export type Verdict =
  | { readonly accepted: true; readonly isRateLimited: boolean }
  | {
      readonly accepted: false
      readonly reason: PrimaryRefusal
      readonly detail: string
      /** The sender has no business on this port. */
      readonly closes: boolean
    }

export function judge(request: PrimaryRequest, fromOwnPrimary: boolean, ownIndex: number): Verdict {
  if (request.type === 'Cleanup') {
    if (fromOwnPrimary) return { accepted: true, isRateLimited: false }
    return refuse('cleanup-foreign', "a Cleanup that is not from our primary's address", true)
  }
  const { digestCount, target } = request
  if (!fromOwnPrimary && target !== ownIndex) {
    return refuse(
      'synchronize-foreign',
      "a Synchronize for batches of another authority that is not from our primary's address",
      true,
    )
  }
  if (target === -1) {
    return refuse('synchronize-unknown-target', 'the target of a Synchronize is not in the committee file', false)
  }
  const digestsMax = fromOwnPrimary ? SYNC_PENDING_MAX : PUSH_AGAIN_QUEUE_MAX
  if (digestCount > digestsMax) {
    return refuse('synchronize-too-many', `a Synchronize for ${digestCount} batches, at most ${digestsMax}`, false)
  }
  return { accepted: true, isRateLimited: !fromOwnPrimary }
}

/** The hosts that an authority's primary sends from, addresses or names, as far as the committee file says. */
export function primaryHosts(committee: Committee, index: number): ReadonlySet<string> {
  const { primaryToPrimary, workerToPrimary } = committee.authority(index).primary
  return new Set([workerToPrimary, primaryToPrimary].flatMap((known) => (known ? [normalHost(known.host)] : [])))
}

/** The same of the other authorities' primaries. */
export function otherPrimaryHosts(committee: Committee, ownIndex: number): ReadonlySet<string> {
  const hosts = new Set<string>()
  for (let index = 0; index < committee.size; index += 1) {
    if (index !== ownIndex) for (const host of primaryHosts(committee, index)) hosts.add(host)
  }
  return hosts
}

/**
 * One text per IP address. An IPv4 peer of an IPv6 socket is `::ffff:a.b.c.d`; a committee file may name such an
 * address too, and then its last part is hexadecimal. A link-local address has a zone, which is left out.
 */
export function normalHost(host: string): string {
  const bare = host.replace(/%.*$/, '').toLowerCase()
  const [, dotted, high, low] = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([\da-f]{1,4}):([\da-f]{1,4}))$/.exec(bare) ?? []
  if (dotted !== undefined) return dotted
  if (high === undefined || low === undefined) return bare
  return [high, low].flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff]).join('.')
}

function refuse(reason: PrimaryRefusal, detail: string, closes: boolean): Verdict {
  return { accepted: false, reason, detail, closes }
}
