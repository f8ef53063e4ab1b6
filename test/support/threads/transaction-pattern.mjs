/** Transactions that show any damage: every byte follows from the transaction's number and the byte's place. */
import { randomOf } from './pause.mjs'

export function fillTransaction(bytes, n) {
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = n * 31 + index * 7 + (index >> 8)
}

export function isTransaction(bytes, start, length, n) {
  for (let index = 0; index < length; index += 1) {
    if (bytes[start + index] !== ((n * 31 + index * 7 + (index >> 8)) & 0xff)) return false
  }
  return true
}

/** A fixed sequence of sizes, small ones and the largest among them. */
export function transactionSizes(seed, bytesMax) {
  const random = randomOf(seed)
  return () => {
    const kind = random()
    if (kind < 0.05) return bytesMax
    if (kind < 0.3) return 1 + Math.floor(random() * 8)
    return 1 + Math.floor(random() * bytesMax)
  }
}
