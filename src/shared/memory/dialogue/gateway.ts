/**
 * Main and the gateway's thread: what the thread is started with, and what the two say to each other.
 *
 * The thread reads the log, batches and checkpoints by itself. What only main knows it asks: each question has a number, and
 * one answer.
 */
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../../errors.js'
import type { CommittedBatch } from '../../wire/primary/commit-record.js'
import type { CountersRegion } from '../counters.js'

export interface GatewayMemory {
  readonly counters: { readonly gateway: CountersRegion }
  /** Of `CommitLogHead`, that of the primary. */
  readonly commitLogHead: { readonly buffer: SharedArrayBuffer; readonly byteOffset: number }
  /** Of `LastApplied`. */
  readonly lastApplied: SharedArrayBuffer
}

export interface GatewayTask {
  readonly memory: GatewayMemory
  /** Reports to main. */
  readonly port: MessagePort
  /** `NumberedQuestion` one way and `GatewayAnswer` the other; its closing ends the thread. */
  readonly questions: MessagePort
  readonly listen: { readonly host: string; readonly port: number }
  /** What a request has to carry, if anything. */
  readonly token?: string
  /** Origins of pages that may call, or `*`. */
  readonly origins: readonly string[]
  /** The authority's directory. */
  readonly store: string
  readonly authority: GatewayAuthority
}

/** What does not change while the authority runs. */
export interface GatewayAuthority {
  /** Its public key in base64. */
  readonly name: string
  readonly version: string
  /** In the order of their indices. */
  readonly committee: readonly GatewayMember[]
  /** Bytes of a transaction, at most. */
  readonly transactionBytesMax: number
  /** In hex. */
  readonly committeeDigest: string
}

export interface GatewayMember {
  readonly name: string
  readonly stake: number
  readonly workers: readonly number[]
}

export type GatewayQuestion =
  | { readonly type: 'status' }
  | { readonly type: 'health' }
  | { readonly type: 'metrics' }
  /** Puts them in line for batches; answered when each is, or is refused. */
  | { readonly type: 'submit'; readonly transactions: readonly Uint8Array[] }
  /** Resolves when our worker has this batch of a commit; main has it fetched. */
  | { readonly type: 'batch'; readonly commit: number; readonly batch: CommittedBatch }

/** What each question is answered with. */
export interface GatewayAnswers {
  readonly status: GatewayStatus
  readonly health: { readonly ok: boolean; readonly json: string; readonly isAlive: boolean }
  readonly metrics: { readonly contentType: string; readonly text: string }
  /** Why each of them was refused, if it was. */
  readonly submit: readonly (SubmitRefusal | undefined)[]
  /** Whether it is there now. */
  readonly batch: boolean
}

export interface SubmitRefusal {
  readonly code: ErrorCode
  readonly message: string
}

export interface GatewayStatus {
  readonly ok: boolean
  readonly ordering: boolean
  readonly round: number
  readonly problems: readonly string[]
  /** Names of the other authorities whose primaries are connected to ours. */
  readonly connected: readonly string[]
}

/** gateway → main. */
export interface NumberedQuestion {
  readonly id: number
  readonly question: GatewayQuestion
}

/** main → gateway. */
export type GatewayAnswer =
  | { readonly id: number; readonly answer: GatewayAnswers[keyof GatewayAnswers] }
  | { readonly id: number; readonly error: { readonly code?: ErrorCode; readonly message: string } }
