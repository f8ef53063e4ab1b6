/** The functions used of sodium-native: ChaCha20-Poly1305 as in RFC 8439. Input and output may be the same memory. */
declare module 'sodium-native' {
  const sodium: {
    readonly crypto_aead_chacha20poly1305_ietf_ABYTES: number
    crypto_aead_chacha20poly1305_ietf_encrypt(
      ciphertext: Buffer,
      message: Buffer,
      additional: Buffer | null,
      secretNonce: null,
      nonce: Buffer,
      key: Buffer,
    ): number
    /** Throws if the tag does not fit. */
    crypto_aead_chacha20poly1305_ietf_decrypt_detached(
      message: Buffer,
      secretNonce: null,
      ciphertext: Buffer,
      tag: Buffer,
      additional: Buffer | null,
      nonce: Buffer,
      key: Buffer,
    ): void
  }
  export default sodium
}
