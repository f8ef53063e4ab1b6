/**
 * `narval-node/client`: the gateway of an authority, or of several, for programs that are elsewhere. It needs no Node: a
 * browser runs it.
 *
 * ```ts
 * import { Client } from 'narval-node/client'
 *
 * const client = new Client({ urls: ['http://127.0.0.1:3000', 'http://127.0.0.1:3001'] })
 * await client.submit(new TextEncoder().encode('a transaction'))
 * for await (const event of client.stream({ after: '0' })) {
 *   if (event.type === 'batch') for (const transaction of event.transactions) apply(transaction)
 * }
 * ```
 *
 * @packageDocumentation
 */
export { type Place, STAGES, type Stage } from '../shared/receipts.js'
export { committeeOf } from '../shared/wire/proof/committee-of.js'
export { type ProofCommittee, type ProvenReceipt, verify } from '../shared/wire/proof/verify-receipt.js'
export { Client, type ClientOptions, type RequestOptions, type WaitOptions } from './client.js'
export { GatewayError } from './gateway-error.js'
export type { Fetch } from './gateways.js'
export type { ReceiptJson } from './receipt.js'
export type { BatchEvent, CommitEvent, StreamEvent, StreamOptions } from './stream.js'
