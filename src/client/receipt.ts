/** Receipts as a gateway gives them: ids and digests in lower-case hex. What it says is checked before it is believed. */
import { type Place, type Receipt, STAGES, type Stage } from '../shared/receipts.js'
import { GatewayError } from './gateway-error.js'

/** A receipt whose bytes are text. */
export interface ReceiptJson extends Omit<Receipt, 'id' | 'batch'> {
  /** 64 characters. */
  readonly id: string
  readonly batch?: string
}

export function hasReached({ stage }: Pick<ReceiptJson, 'stage'>, wanted: Stage): boolean {
  return STAGES.indexOf(stage) >= STAGES.indexOf(wanted)
}

/** @param id the one that was asked for. @throws GatewayError if it is no receipt of it */
export function receiptOf(bytes: Uint8Array, id: string): ReceiptJson {
  const { batch, checkpoint, duplicate, place, stage, timestamp, ...rest } = objectOf(bytes)
  if (rest.id !== id) throw malformed('a receipt of another transaction')
  if (!STAGES.includes(stage as Stage)) throw malformed('a receipt of no stage that is known')
  if (batch !== undefined && !(typeof batch === 'string' && /^[0-9a-f]{64}$/.test(batch))) throw malformed('a batch')
  return {
    id,
    stage: stage as Stage,
    ...(batch !== undefined && { batch }),
    ...(place !== undefined && { place: placeOf(place) }),
    ...(timestamp !== undefined && { timestamp: whole(timestamp, 'a timestamp') }),
    ...(duplicate !== undefined && { duplicate: duplicate === true }),
    ...(checkpoint !== undefined && { checkpoint: whole(checkpoint, 'a checkpoint') }),
  }
}

/** @throws GatewayError if it is no JSON of an object */
export function objectOf(bytes: Uint8Array): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw malformed('JSON', cause)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw malformed('an object')
  return parsed as Record<string, unknown>
}

function placeOf(value: unknown): Place {
  const { commit, index, position } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Place>
  return {
    commit: whole(commit, 'a commit'),
    position: whole(position, 'a position'),
    index: whole(index, 'an index'),
  }
}

export function whole(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed(what)
  return value as number
}

/** Another authority may do better: it passes. */
export function malformed(what: string, cause?: unknown): GatewayError {
  return new GatewayError(`the gateway answered what cannot be used: ${what}`, {
    code: 'ERR_CODEC',
    status: 502,
    ...(cause !== undefined && { cause }),
  })
}
