import type { Codec } from '../../../src/shared/ring.js'

export declare const countedCodec: Codec<number>
