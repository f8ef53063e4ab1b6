/** An assertion that needs no Node: for what is also read by verifiers elsewhere (`verify.ts`). */
export function assert(condition: unknown, message = 'a relation between constants'): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}
