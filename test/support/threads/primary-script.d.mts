import type { encodeCertificate } from '../../../src/shared/wire/primary/certificate.js'
import type { headerId } from '../../../src/shared/wire/primary/header.js'
import type { encodeVote } from '../../../src/shared/wire/primary/vote.js'
import type { PrimaryStore, PrimaryStoreOptions } from '../../../src/threads/primary/store/primary-store.js'
import type { Write } from '../../../src/threads/primary/store/writes.js'

export interface Stage {
  readonly writes?: Write[]
  readonly restart?: Pick<PrimaryStoreOptions, 'isRecovered'>
}

export declare const OPTIONS: Omit<PrimaryStoreOptions, 'directory'>
export declare function stagesOf(codec: {
  encodeCertificate: typeof encodeCertificate
  encodeVote: typeof encodeVote
  headerId: typeof headerId
}): Stage[]
export declare function runStages(
  stages: readonly Stage[],
  from: number,
  open: (options: { isRecovered?: boolean }) => Promise<PrimaryStore>,
  onStage: (stage: number) => void | Promise<void>,
): Promise<PrimaryStore>
