export declare function encodeBatch(sequence: number, bytes: number, workerId: number): Uint8Array
export declare function digestOf(bytes: Uint8Array, author: Uint8Array): Uint8Array
