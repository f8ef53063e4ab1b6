/** What is asked for when more is missing than may be asked for at a time. */
import { expect, test } from 'vitest'
import { decodeCertificatesRequest } from '../../../src/shared/wire/primary/requests.js'
import { CertificateRequests } from '../../../src/threads/primary/certificate-requests.js'
import type { Digest } from '../../../src/threads/primary/consensus/types.js'
import { CERTIFICATE_RETRY_MS } from '../../../src/threads/primary/limits.js'
import { Peers } from '../../../src/threads/primary/peers.js'
import { TurnBuilder } from '../../../src/threads/primary/turn.js'

const digestOf = (n: number): Digest => String.fromCharCode(n).repeat(32)

function requestsOf(wantedMax: number) {
  const waiting = new Set<Digest>()
  const peers = new Peers(0, 4)
  const requests = new CertificateRequests(
    { wantedMax },
    { peers, isWanted: (digest) => waiting.has(digest), allWanted: () => waiting },
  )
  const flush = (ms: number): number[] => {
    const turn = new TurnBuilder({ ms, unixMs: ms })
    requests.flush(turn)
    return turn.sends.flatMap(({ bytes }) => decodeCertificatesRequest(bytes).map((digest) => digest[0]!))
  }
  const wait = (...numbers: number[]): void => {
    for (const n of numbers) waiting.add(digestOf(n))
    requests.want(numbers.map(digestOf), 1, 0)
  }
  return { requests, peers, waiting, flush, wait }
}

test('what found no room is asked for when half of the room is free again', () => {
  const { flush, peers, requests, wait, waiting } = requestsOf(4)
  peers.connect(1)
  wait(1, 2, 3, 4, 5, 6)
  expect([flush(0), requests.size]).toEqual([[1, 2, 3, 4], 4])
  for (const n of [1, 2, 3]) {
    waiting.delete(digestOf(n))
    requests.settle(digestOf(n))
  }
  expect(flush(1)).toEqual([5, 6])
  expect(requests.size).toBe(3)
})

test('what nobody waits for any more gives its room at once', () => {
  const { flush, peers, wait, waiting } = requestsOf(2)
  peers.connect(1)
  wait(1, 2)
  flush(0)
  waiting.clear()
  wait(3, 4)
  expect(flush(CERTIFICATE_RETRY_MS - 1)).toEqual([3, 4])
})

test('what found no room while nobody was connected is asked for when somebody is', () => {
  const { flush, peers, requests, wait, waiting } = requestsOf(2)
  wait(1, 2, 3)
  for (const n of [1, 2]) {
    waiting.delete(digestOf(n))
    requests.settle(digestOf(n))
  }
  expect(flush(0)).toEqual([])
  peers.connect(2)
  expect(flush(1)).toEqual([3])
})
