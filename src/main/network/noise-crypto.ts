/**
 * The cipher under noise, with as few allocations as libp2p allows: memory outside the heap is what V8 answers with
 * full garbage collections (docs/performance.md).
 *
 * Noise cuts what it is given in messages of at most 65,519 bytes and asks for one ciphertext each; libp2p then writes
 * a 2-byte length and the ciphertext's pieces to the socket, each with a system call of its own. Here ciphertexts are
 * made one behind the other in slabs, each with its length in front:
 *
 * ```
 *  slab  ├ 2 ┼ ciphertext ‖ tag ┼ 2 ┼ ciphertext ‖ tag ┤ free …
 *            └─ what noise gets    └─ the next
 * ```
 *
 * and `joinPieces` finds that what noise hands to the socket lies in one piece, and hands that over instead. On the way
 * in, a message is deciphered where it lies.
 *
 * A slab is never used twice: the collector frees it when the socket has let go of the last view of it.
 */
import { type ICryptoInterface, pureJsCrypto } from '@chainsafe/libp2p-noise'
import type { MessageStream } from '@libp2p/interface'
import sodium from 'sodium-native'
import { Uint8ArrayList } from 'uint8arraylist'

/** Bytes of a slab: two slices' worth of messages (shared/constants.ts). */
const SLAB_BYTES = 512 * 1024
const LENGTH_BYTES = 2
const TAG_BYTES = sodium.crypto_aead_chacha20poly1305_ietf_ABYTES

interface Slab {
  bytes: Buffer
  used: number
}

function place(slab: Slab, byteLength: number): Buffer {
  const needed = LENGTH_BYTES + byteLength
  if (slab.used + needed > slab.bytes.length) {
    slab.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
    slab.used = 0
  }
  const start = slab.used + LENGTH_BYTES
  slab.used += needed
  slab.bytes.writeUInt16BE(byteLength, start - LENGTH_BYTES)
  return slab.bytes.subarray(start, start + byteLength)
}

export function createNoiseCrypto(): ICryptoInterface {
  const slab: Slab = { bytes: Buffer.allocUnsafeSlow(SLAB_BYTES), used: 0 }
  return {
    ...pureJsCrypto,
    chaCha20Poly1305Encrypt(plaintext, nonce, ad, k) {
      const { byteLength } = plaintext
      const output = place(slab, byteLength + TAG_BYTES)
      if (plaintext instanceof Uint8Array) output.set(plaintext)
      else {
        let at = 0
        for (const piece of plaintext) {
          output.set(piece, at)
          at += piece.length
        }
      }
      const inPlace = output.subarray(0, byteLength)
      sodium.crypto_aead_chacha20poly1305_ietf_encrypt(output, inPlace, asAd(ad), null, asBuffer(nonce), asBuffer(k))
      return output
    },
    chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst) {
      const byteLength = ciphertext.byteLength - TAG_BYTES
      const tag = asBuffer(ciphertext.subarray(byteLength))
      // Noise gives the place for the plaintext with the ciphertext in it; a handshake message has no such place.
      const plaintext = asBuffer(dst ?? Uint8Array.from(ciphertext.subarray(0, byteLength)))
      sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached(
        plaintext,
        null,
        plaintext,
        tag,
        asAd(ad),
        asBuffer(nonce),
        asBuffer(k),
      )
      return plaintext
    },
  }
}

/** Makes a connection send what lies in one piece as one piece. */
export function joinPieces(connection: MessageStream): MessageStream {
  const send = connection.send.bind(connection)
  connection.send = (data) => send(data instanceof Uint8Array ? data : joined(data))
  return connection
}

/** The pieces, with each run of (length, ciphertext) pairs that lies in one slab as one piece. */
function joined(data: Uint8ArrayList): Uint8ArrayList {
  const pieces = [...data]
  const output = new Uint8ArrayList()
  let run: Uint8Array | undefined
  for (let index = 0; index < pieces.length; index += 1) {
    const length = pieces[index]!
    const ciphertext = pieces[index + 1]
    if (ciphertext === undefined || !isInSlab(length, ciphertext)) {
      if (run !== undefined) output.append(run)
      run = undefined
      output.append(length)
      continue
    }
    index += 1
    const start = ciphertext.byteOffset - LENGTH_BYTES
    if (run !== undefined && run.buffer === ciphertext.buffer && run.byteOffset + run.length === start) {
      run = new Uint8Array(run.buffer, run.byteOffset, run.length + LENGTH_BYTES + ciphertext.length)
    } else {
      if (run !== undefined) output.append(run)
      run = new Uint8Array(ciphertext.buffer, start, LENGTH_BYTES + ciphertext.length)
    }
  }
  if (run !== undefined) output.append(run)
  return output
}

/** Whether the two bytes of `length` stand in front of `ciphertext` as well. */
function isInSlab(length: Uint8Array, ciphertext: Uint8Array): boolean {
  if (length.length !== LENGTH_BYTES || ciphertext.buffer.byteLength !== SLAB_BYTES) return false
  if (ciphertext.byteOffset < LENGTH_BYTES || ciphertext.length !== length[0]! * 256 + length[1]!) return false
  const [high, low] = new Uint8Array(ciphertext.buffer, ciphertext.byteOffset - LENGTH_BYTES, LENGTH_BYTES)
  return high === length[0] && low === length[1]
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function asAd(ad: Uint8Array): Buffer | null {
  return ad.length === 0 ? null : asBuffer(ad)
}
