export declare function randomOf(seed: number): () => number
export declare function spin(microseconds: number): void
export declare function doze(ms: number): void
export declare function pauser(seed: number, share: number): () => void
