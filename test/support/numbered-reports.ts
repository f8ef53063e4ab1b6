/** Reports to a primary whose digests say which number they are. */
import type { PrimaryReport } from '../../src/main/worker/primary-link/primary-link.js'
import { digestOf } from './numbered-digests.js'

const batch = (number: number) => ({ digest: digestOf(number), author: 0, sequence: BigInt(number) })
export const our = (number: number): PrimaryReport => ({ type: 'OurBatch', ...batch(number) })
export const others = (number: number): PrimaryReport => ({ type: 'OthersBatch', ...batch(number) })
