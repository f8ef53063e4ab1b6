/** The quorum tally: a whole batch's life, from `track` to `release`, with every peer's ACK. */

import { DIGEST_BYTES } from '../../src/shared/constants.js'
import { ACK_LEVELS, ACK_STATUSES, peerMask } from '../../src/shared/wire/ack.js'
import { QuorumTally } from '../../src/threads/quorum-waiter/quorum-tally.js'
import { type Case, measure } from '../lib/measure.js'
import type { Stage } from '../lib/stage.js'

const COMMITTEES = [4, 50, 200]
const DIGEST = new Uint8Array(DIGEST_BYTES).fill(9)

export const tally: Stage = {
  name: 'tally',
  about: 'the life of a batch in the quorum tally: track, own copy stored, an ACK of every peer, release',
  run: ({ timeMs }) =>
    measure(
      'tally',
      COMMITTEES.flatMap((authorities) => [caseOf(authorities, 'own copy first'), caseOf(authorities, 'ACKs first')]),
      timeMs,
    ),
}

/** @param order 'ACKs first': they are held, and compared when our own digest is known */
function caseOf(authorities: number, order: 'own copy first' | 'ACKs first'): Case {
  const quorum = new QuorumTally({
    stakes: Array.from({ length: authorities }, () => 1),
    ownIndex: 0,
    quorumThreshold: Math.floor((2 * authorities) / 3) + 1,
    entriesMax: 36,
    requiredLevel: ACK_LEVELS.durable,
    freshRounds: 50,
  })
  const peers = peerMask(Array.from({ length: authorities - 1 }, (_, peer) => peer + 1))
  let sequence = 0n
  const acknowledge = (): void => {
    for (let peer = 1; peer < authorities; peer += 1) {
      quorum.ack(peer, sequence, DIGEST, ACK_LEVELS.durable, ACK_STATUSES.ok)
    }
  }
  return {
    name: `${authorities} authorities, ${order}`,
    op: `batch, ${authorities - 1} ACKs`,
    run() {
      sequence += 1n
      quorum.track(sequence, peers)
      if (order === 'ACKs first') acknowledge()
      quorum.ownStored(sequence, DIGEST, ACK_LEVELS.durable)
      if (order === 'own copy first') acknowledge()
      quorum.release(sequence)
    },
  }
}
