export declare function fillTransaction(bytes: Uint8Array, n: number): void
export declare function isTransaction(bytes: Uint8Array, start: number, length: number, n: number): boolean
export declare function transactionSizes(seed: number, bytesMax: number): () => number
