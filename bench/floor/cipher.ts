/**
 * ChaCha20-Poly1305 as noise uses it: messages of at most MESSAGE_BYTES, each with a tag and a nonce that counts.
 *
 * ```
 *  0            4                                                                        one batch on the wire
 *  ├ length u32 ┼ ciphertext ≤ 65,519 ┼ tag 16 ┼ ciphertext ┼ tag ┼ …  ┤
 * ```
 */
import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto'
import { MESSAGE_BYTES, TAG_BYTES } from './options.js'

const LENGTH_BYTES = 4
const AUTH_TAG = { authTagLength: TAG_BYTES }
/** The work does not depend on the key. */
const KEY = Buffer.alloc(32, 7)

/** Enciphers one direction of one connection. */
export class Encipherer {
  private readonly nonce = new Nonce()

  /** The pieces of a batch on the wire, in order, in memory of their own. */
  batch(bytes: Uint8Array): Uint8Array[] {
    const length = Buffer.allocUnsafe(LENGTH_BYTES)
    length.writeUInt32LE(bytes.length)
    const pieces: Uint8Array[] = [length]
    for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) {
      const cipher = createCipheriv('chacha20-poly1305', KEY, this.nonce.next(), AUTH_TAG) as CipherGCM
      pieces.push(cipher.update(bytes.subarray(at, at + MESSAGE_BYTES)))
      cipher.final()
      pieces.push(cipher.getAuthTag())
    }
    return pieces
  }
}

export interface DeciphererHandlers {
  /** A batch of so many bytes begins. */
  readonly onBegin: (bytes: number) => void
  /** Consecutive pieces of its plaintext, not authenticated before the end. */
  readonly onPlaintext: (bytes: Uint8Array) => void
  /** The batch is complete and every tag was right. */
  readonly onEnd: () => void
}

/** Deciphers one direction of one connection, from pieces as the socket cuts them, without collecting messages. */
export class Decipherer {
  private readonly handlers: DeciphererHandlers
  private readonly nonce = new Nonce()
  private readonly small = Buffer.alloc(TAG_BYTES)
  private smallLength = 0
  private batchMissing = 0
  private messageMissing = 0
  private decipher: DecipherGCM | undefined

  constructor(handlers: DeciphererHandlers) {
    this.handlers = handlers
  }

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      if (this.messageMissing > 0) {
        const end = Math.min(at + this.messageMissing, bytes.length)
        this.messageMissing -= end - at
        this.handlers.onPlaintext(this.decipher!.update(bytes.subarray(at, end)))
        at = end
        continue
      }
      const wanted = this.decipher === undefined ? LENGTH_BYTES : TAG_BYTES
      const end = Math.min(at + wanted - this.smallLength, bytes.length)
      this.small.set(bytes.subarray(at, end), this.smallLength)
      this.smallLength += end - at
      at = end
      if (this.smallLength === wanted) this.onSmall()
    }
  }

  private onSmall(): void {
    this.smallLength = 0
    if (this.decipher === undefined) {
      this.batchMissing = this.small.readUInt32LE()
      this.handlers.onBegin(this.batchMissing)
    } else {
      this.decipher.setAuthTag(this.small)
      this.decipher.final()
      this.decipher = undefined
    }
    if (this.batchMissing === 0) this.handlers.onEnd()
    else this.beginMessage()
  }

  private beginMessage(): void {
    this.messageMissing = Math.min(this.batchMissing, MESSAGE_BYTES)
    this.batchMissing -= this.messageMissing
    this.decipher = createDecipheriv('chacha20-poly1305', KEY, this.nonce.next(), AUTH_TAG) as DecipherGCM
  }
}

/** Twelve bytes, counting up in the last eight. */
class Nonce {
  private readonly bytes = Buffer.alloc(12)
  private count = 0

  next(): Uint8Array {
    this.count += 1
    this.bytes.writeUInt32LE(this.count, 4)
    return this.bytes
  }
}
