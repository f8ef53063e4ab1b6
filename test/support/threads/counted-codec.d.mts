import type { Codec } from '../../../src/shared/memory/ring.js'

export declare const countedCodec: Codec<number>
