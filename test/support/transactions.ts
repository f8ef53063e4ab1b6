/** Transactions that no two are alike, and whose bytes all follow from their number: what was changed on the way shows. */

const NUMBER_AT = 1
const BODY_AT = 9

/** A standard transaction of the load client's layout: a byte that is 1, its number, and bytes that depend on it. */
export function transactionOf(number: number, bytes: number): Uint8Array {
  const transaction = Buffer.allocUnsafe(bytes)
  transaction[0] = 1
  transaction.writeBigUInt64BE(BigInt(number), NUMBER_AT)
  for (let at = BODY_AT; at < bytes; at += 1) transaction[at] = (number * 31 + at * 7) & 0xff
  return transaction
}

/** The number of a transaction; throws if a byte of it is not as it was made. */
export function numberOf(transaction: Uint8Array): number {
  const number = Number(Buffer.from(transaction).readBigUInt64BE(NUMBER_AT))
  if (Buffer.compare(transaction, transactionOf(number, transaction.length)) !== 0) {
    throw new Error(`transaction ${number} has changed`)
  }
  return number
}
