import type { PrimarySettings } from '../../../src/shared/store/primary/settings.js'
import type { encodeCertificate } from '../../../src/shared/wire/primary/certificate.js'
import type { BatchEntry, headerId } from '../../../src/shared/wire/primary/header.js'
import type { RecordChain } from '../../../src/threads/primary/commit-log/record-chain.js'
import type { ConsensusPosition } from '../../../src/threads/primary/consensus/consensus-state.js'
import type { Commit } from '../../../src/threads/primary/consensus/types.js'
import type { PrimaryStore } from '../../../src/threads/primary/store/primary-store.js'
import type { Write } from '../../../src/threads/primary/store/writes.js'

export declare const AUTHORITIES: number
export declare const COMMITTEE_DIGEST: Uint8Array
export declare const SETTINGS: PrimarySettings
export declare function batchOf(index: number, position: number): BatchEntry
export declare function patternOf(codec: { encodeCertificate: typeof encodeCertificate; headerId: typeof headerId }): {
  certificateOf(index: number): { round: number; author: number; digest: Uint8Array; bytes: Uint8Array }
  commitOf(index: number, batchCount?: number): Commit
  positionOf(index: number): ConsensusPosition
  turnOf(from: number, to: number, batchCount?: number): PatternWrite[]
}
/** Commits whose records are not made yet. */
export type PatternWrite =
  | Write
  | { readonly type: 'commits'; readonly commits: readonly Commit[]; readonly state: ConsensusPosition }
  | { readonly type: 'fetched'; readonly commits: readonly (Commit & { readonly round: number })[] }
export declare function recorder(
  chain: typeof RecordChain,
  store: Pick<PrimaryStore, 'state'>,
): (writes: readonly PatternWrite[]) => Write[]
