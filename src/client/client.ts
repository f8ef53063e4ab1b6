/**
 * The gateway's HTTP routes as functions, for browsers and Node: of one authority, or of several, so that the loss of one is
 * a pause. What a gateway says is checked for its form, and not believed beyond that: `prove` is what needs no belief.
 */
import {
  arrayArgument,
  bytesArgument,
  choiceArgument,
  functionArgument,
  integerArgument,
  objectArgument,
  refuseUnknownKeys,
  textArgument,
} from '../shared/arguments.js'
import { DIGEST_BYTES } from '../shared/constants.js'
import { STAGES, type Stage } from '../shared/receipts.js'
import { fromHex, toHex } from '../shared/wire/base64.js'
import { sha256 } from '../shared/wire/hash.js'
import { type ProofCommittee, type ProvenReceipt, verify } from '../shared/wire/proof/verify-receipt.js'
import { GatewayError } from './gateway-error.js'
import { type Fetch, Gateways, sleep } from './gateways.js'
import { GATEWAYS_MAX, POLL_MS, REQUEST_MS, WAIT_MS } from './limits.js'
import { hasReached, objectOf, type ReceiptJson, receiptOf } from './receipt.js'
import { compareCursors, type StreamEvent, type StreamOptions, streamOf } from './stream.js'

export interface ClientOptions {
  /** Where the gateways are: `https://host:port`. Of several authorities, one is asked until it fails. */
  readonly urls: string | readonly string[]
  /** What `--api-token` says, if the gateways want it. */
  readonly token?: string
  /** `globalThis.fetch` unless given. */
  readonly fetch?: Fetch
}

export interface RequestOptions {
  /** How long it is tried in all, in ms; 30,000 unless given. */
  readonly timeoutMs?: number
  /** Ends it, with what the signal says. */
  readonly signal?: AbortSignal
}

export interface WaitOptions extends RequestOptions {
  /** Until which stage; `queued` unless given. A gateway that does not know a stage refuses it by name. */
  readonly wait?: Stage
}

const OPTIONS = ['urls', 'token', 'fetch'] as const
const REQUEST_OPTIONS = ['timeoutMs', 'signal'] as const

export class Client {
  private readonly gateways: Gateways

  /** @throws TypeError, RangeError */
  constructor(options: ClientOptions) {
    objectArgument('options', options)
    refuseUnknownKeys('options', options, OPTIONS)
    const { fetch = (input, init) => globalThis.fetch(input, init), token, urls } = options
    this.gateways = new Gateways({
      urls: urlsArgument(urls),
      token: token === undefined ? undefined : textArgument('options.token', token),
      fetch: functionArgument<Fetch>('options.fetch', fetch),
    })
  }

  /**
   * Hands in a transaction, and waits for a stage. What fails on the way is tried again, at another authority if there is
   * one: the same bytes have the same id, whoever takes them and however often, and the first place in the order counts.
   *
   * @returns its receipt at the stage; or as far as it came, when the time was over
   * @throws GatewayError if no gateway took it, or it was refused; what the signal says; TypeError, RangeError
   */
  async submit(transaction: Uint8Array, options: WaitOptions = {}): Promise<ReceiptJson> {
    const { endsAt, signal, wait } = waitOptions(options)
    // A copy: what the caller does with its bytes meanwhile is not sent.
    const body = Uint8Array.from(bytesArgument('transaction', transaction))
    const id = toHex(sha256(body))
    let last: ReceiptJson | undefined
    const attempt = async (): Promise<ReceiptJson> => {
      // Behind a failure it may be known already: what is handed in again is ordered twice.
      const known = last && (await this.find(id, undefined, endsAt, signal))
      last = known ?? (await this.post(body, id, wait, endsAt, signal))
      last = await this.followed(last, wait, endsAt, signal)
      return last
    }
    try {
      return await this.gateways.retried(attempt, endsAt, signal)
    } catch (error) {
      if (last !== undefined && error instanceof GatewayError && error.isPassing) return last
      throw error
    }
  }

  /**
   * The receipt of a transaction, at a stage or as far as it came when the time was over; undefined if the authority that
   * is asked knows of none. A gateway without an index of transactions refuses it with `ERR_ROUTE_NOT_FOUND`.
   *
   * @param id 32 bytes, or their hex
   * @throws GatewayError; what the signal says; TypeError, RangeError
   */
  async receipt(id: Uint8Array | string, options: WaitOptions = {}): Promise<ReceiptJson | undefined> {
    const { endsAt, signal, wait } = waitOptions(options)
    const hex = idArgument(id)
    return this.gateways.retried(
      async () => {
        const found = await this.find(hex, wait, endsAt, signal)
        return found && this.followed(found, wait, endsAt, signal)
      },
      endsAt,
      signal,
    )
  }

  /**
   * The proof of a transaction's receipt, in its binary form, as a gateway gives it, once there is one. Nothing of it was
   * verified: see `prove`. A gateway without an index of transactions refuses it with `ERR_ROUTE_NOT_FOUND`.
   */
  async proof(id: Uint8Array | string, options: RequestOptions = {}): Promise<Uint8Array> {
    const { endsAt, signal } = requestOptions(options)
    const hex = idArgument(id)
    return this.gateways.retried(() => this.fetchProof(hex, endsAt, signal), endsAt, signal)
  }

  /**
   * What is proven of a transaction to whoever has the committee file. A gateway whose proof is refused is passed over.
   *
   * @param committee as `committeeOf` makes it of the committee file, which must not come from a gateway
   * @throws GatewayError `ERR_PROOF_REFUSED` if no authority has one that holds
   */
  async prove(
    committee: ProofCommittee,
    id: Uint8Array | string,
    options: RequestOptions = {},
  ): Promise<ProvenReceipt> {
    const { endsAt, signal } = requestOptions(options)
    const hex = idArgument(id)
    const expected = fromHex(hex, DIGEST_BYTES)!
    const attempt = async (): Promise<ProvenReceipt> => {
      const check = verify(committee, await this.fetchProof(hex, endsAt, signal), expected)
      if (check.ok) return check.receipt
      throw new GatewayError(`the gateway's proof is refused: ${check.reason}`, {
        code: 'ERR_PROOF_REFUSED',
        status: 502,
      })
    }
    return this.gateways.retried(attempt, endsAt, signal)
  }

  /** A commit, as the gateway's JSON has it. @throws GatewayError `ERR_COMMITS_PRUNED`, with `oldest`, if it is gone */
  commit(index: number, options: RequestOptions = {}): Promise<Record<string, unknown>> {
    return this.json(`/v1/commits/${integerArgument('index', index, 1, Number.MAX_SAFE_INTEGER)}`, options)
  }

  /** A page of commits behind one, as the gateway's JSON has it. @throws GatewayError `ERR_COMMITS_PRUNED`, with `oldest` */
  commits(
    { after, limit }: { readonly after: number; readonly limit?: number },
    options: RequestOptions = {},
  ): Promise<Record<string, unknown>> {
    const query = `after=${integerArgument('after', after, 0, Number.MAX_SAFE_INTEGER)}`
    const most = limit === undefined ? '' : `&limit=${integerArgument('limit', limit, 1, Number.MAX_SAFE_INTEGER)}`
    return this.json(`/v1/commits?${query}${most}`, options)
  }

  /** Where the authority stands: the gateway's JSON. */
  status(options: RequestOptions = {}): Promise<Record<string, unknown>> {
    return this.json('/v1/status', options)
  }

  /**
   * The committee as a gateway tells it. For whoever trusts that gateway: what proofs are measured by has to come from
   * somewhere else.
   */
  committee(options: RequestOptions = {}): Promise<Record<string, unknown>> {
    return this.json('/v1/committee', options)
  }

  /**
   * The order, from a cursor on, and what comes; it goes on at another authority when one falls silent. Each event is given
   * once. To end it, leave the loop or abort the signal.
   *
   * @throws GatewayError `ERR_COMMITS_PRUNED`, with `oldest`, if the cursor is before what is kept
   */
  stream(options: StreamOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
    refuseUnknownKeys('options', options, ['after', 'signal'])
    if (options.after !== undefined) compareCursors(textArgument('options.after', options.after), '0')
    return streamOf(this.gateways, options)
  }

  private async post(
    body: Uint8Array,
    id: string,
    wait: Stage,
    endsAt: number,
    signal: AbortSignal | undefined,
  ): Promise<ReceiptJson> {
    const waitMs = waitBefore(endsAt)
    const headers = { 'content-type': 'application/octet-stream', accept: 'application/json' }
    const query = wait === 'queued' ? '' : `?wait=${wait}&timeout=${secondsOf(waitMs)}s`
    const path = `/v1/transactions${query}`
    const { bytes } = await this.gateways.request({ path, method: 'POST', headers, body, waitMs }, signal)
    return receiptOf(bytes, id)
  }

  private async find(
    id: string,
    wait: Stage | undefined,
    endsAt: number,
    signal: AbortSignal | undefined,
  ): Promise<ReceiptJson | undefined> {
    const waitMs = wait === undefined ? 0 : waitBefore(endsAt)
    const query = wait === undefined ? '' : `?wait=${wait}&timeout=${secondsOf(waitMs)}s`
    const path = `/v1/transactions/${id}${query}`
    try {
      const { bytes } = await this.gateways.request({ path, headers: { accept: 'application/json' }, waitMs }, signal)
      return receiptOf(bytes, id)
    } catch (error) {
      const isUnknown = error instanceof GatewayError && error.status === 404 && error.code !== 'ERR_ROUTE_NOT_FOUND'
      if (isUnknown) return undefined
      throw error
    }
  }

  /** Asked for again until it is at the stage, or the time is over. */
  private async followed(
    receipt: ReceiptJson,
    wait: Stage,
    endsAt: number,
    signal: AbortSignal | undefined,
  ): Promise<ReceiptJson> {
    let last = receipt
    while (!hasReached(last, wait) && performance.now() < endsAt) {
      const askedAt = performance.now()
      const found = await this.find(last.id, wait, endsAt, signal)
      if (found === undefined) throw new GatewayError('the gateway forgot it', { code: 'ERR_UNKNOWN', status: 503 })
      last = found
      if (!hasReached(last, wait)) await this.pause(askedAt, endsAt, signal)
    }
    return last
  }

  /** A gateway that does not wait is not asked more than a few times a second. */
  private async pause(askedAt: number, endsAt: number, signal: AbortSignal | undefined): Promise<void> {
    const ms = Math.min(askedAt + POLL_MS, endsAt) - performance.now()
    if (ms > 0) await sleep(ms, signal)
  }

  private async fetchProof(id: string, endsAt: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const waitMs = waitBefore(endsAt)
    const path = `/v1/transactions/${id}/proof?timeout=${secondsOf(waitMs)}s`
    const headers = { accept: 'application/octet-stream' }
    const { bytes, status } = await this.gateways.request({ path, headers, waitMs }, signal)
    if (status === 200) return bytes
    throw new GatewayError('there is no proof yet', { code: 'ERR_NOT_PROVABLE', status: 503 })
  }

  private async json(path: string, options: RequestOptions): Promise<Record<string, unknown>> {
    const { endsAt, signal } = requestOptions(options)
    const headers = { accept: 'application/json' }
    const get = async () => objectOf((await this.gateways.request({ path, headers }, signal)).bytes)
    return this.gateways.retried(get, endsAt, signal)
  }
}

function urlsArgument(value: string | readonly string[]): string[] {
  const urls = typeof value === 'string' ? [value] : arrayArgument('options.urls', value, GATEWAYS_MAX)
  if (urls.length === 0) throw new RangeError('options.urls: expected at least one')
  return urls.map((url, at) => {
    const text = textArgument(`options.urls[${at}]`, url)
    if (!/^https?:\/\//.test(text)) throw new RangeError(`options.urls[${at}]: expected http:// or https://`)
    return text.replace(/\/+$/, '')
  })
}

function requestOptions(options: RequestOptions, known: readonly string[] = REQUEST_OPTIONS) {
  refuseUnknownKeys('options', objectArgument('options', options), known)
  const { signal, timeoutMs = REQUEST_MS } = options
  return { endsAt: performance.now() + integerArgument('options.timeoutMs', timeoutMs, 1, 2 ** 31 - 1), signal }
}

function waitOptions(options: WaitOptions) {
  const { wait = 'queued' } = options
  return {
    ...requestOptions(options, [...REQUEST_OPTIONS, 'wait']),
    wait: choiceArgument('options.wait', wait, STAGES),
  }
}

function idArgument(id: Uint8Array | string): string {
  if (typeof id !== 'string') return toHex(bytesArgument('id', id, DIGEST_BYTES))
  if (fromHex(id, DIGEST_BYTES) === undefined)
    throw new RangeError(`id: expected ${DIGEST_BYTES} bytes in lower-case hex`)
  return id
}

function waitBefore(endsAt: number): number {
  return Math.max(1, Math.min(WAIT_MS, endsAt - performance.now()))
}

/** As the gateway reads it: whole seconds. */
function secondsOf(ms: number): number {
  return Math.ceil(ms / 1_000)
}
