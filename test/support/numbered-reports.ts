/** Reports to a primary whose digests say which number they are. */
import type { PrimaryReport } from '../../src/main/worker/primary-link/primary-link.js'
import { digestOf } from './numbered-digests.js'

export const our = (number: number): PrimaryReport => ({ type: 'OurBatch', digest: digestOf(number) })
export const others = (number: number): PrimaryReport => ({ type: 'OthersBatch', digest: digestOf(number) })
