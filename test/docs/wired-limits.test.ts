/**
 * Limits that are too large or too long for a test: the class that keeps one takes it as an option, and its own test hands
 * it a small one. That the product hands over the constant is read in the sources here.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const SOURCES = resolve(import.meta.dirname, '../../src')

const LISTENER = 'threads/batch-maker/client-listener.ts'
const HELPER = 'main/worker/sync/helper.ts'
const FOREIGN = 'main/worker/wire-foreign.ts'

test.each([
  [LISTENER, 'muteMs: CLIENT_MUTE_MS,'],
  [LISTENER, 'restingMs: CLIENT_RESTING_MS,'],
  [LISTENER, 'sourcesLookedAt: CLIENT_SOURCES_LOOKED_AT,'],
  [LISTENER, 'laggingAfterMs: CLIENT_LAGGING_AFTER_MS,'],
  [LISTENER, 'laggingBytesPerS: CLIENT_LAGGING_BYTES_PER_S,'],
  [LISTENER, 'options.socketsClosingMax ?? CLIENT_SOCKETS_CLOSING_MAX'],
  ['main/network/libp2p-node.ts', 'inboundStreamProtocolNegotiationTimeout: options.negotiationMs ?? NEGOTIATION_MS,'],
  ['main/worker/inbound/inbound-batches.ts', 'options.smallBatchesPerSecond ?? SMALL_BATCHES_PER_SECOND'],
  [HELPER, 'requestMs: REQUEST_WHOLE_MS,'],
  [HELPER, 'REPLY_HELD_MS + (options.batchBytesMax / REPLY_BYTES_PER_S_MIN) * 1000'],
  [HELPER, 'bytesPerSecond: HELPER_BYTES_PER_SECOND,'],
  [FOREIGN, 'unnamedMs: isOrdered ? SYNC_UNNAMED_MS : undefined,'],
])('%s has: %s', (file, text) => {
  expect(readFileSync(resolve(SOURCES, file), 'utf8').replace(/\s+/g, ' ')).toContain(text)
})
