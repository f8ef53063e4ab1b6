import type { encodeCertificate } from '../../../src/shared/wire/primary/certificate.js'
import type { encodeAttestedCheckpoint } from '../../../src/shared/wire/primary/checkpoint.js'
import type { headerId } from '../../../src/shared/wire/primary/header.js'
import type { encodeVote } from '../../../src/shared/wire/primary/vote.js'
import type { RecordChain } from '../../../src/threads/primary/commit-log/record-chain.js'
import type { PrimaryStore, PrimaryStoreOptions } from '../../../src/threads/primary/store/primary-store.js'
import type { PatternWrite } from './commit-pattern.mjs'

export interface Stage {
  readonly writes?: PatternWrite[]
  readonly restart?: Pick<PrimaryStoreOptions, 'isRecovered'>
}

export declare const OPTIONS: Omit<PrimaryStoreOptions, 'directory'>
export declare function stagesOf(codec: {
  encodeAttestedCheckpoint: typeof encodeAttestedCheckpoint
  encodeCertificate: typeof encodeCertificate
  encodeVote: typeof encodeVote
  headerId: typeof headerId
}): Stage[]
export declare function runStages(
  stages: readonly Stage[],
  from: number,
  open: (options: { isRecovered?: boolean }) => Promise<PrimaryStore>,
  onStage: (stage: number) => void | Promise<void>,
  chain: typeof RecordChain,
): Promise<PrimaryStore>
