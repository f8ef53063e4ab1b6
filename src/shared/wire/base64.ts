/** Base64 and hex that need no Node, with one text for each value. */

/** Characters that `String.fromCharCode` is called with at once: more arguments overflow the stack. */
const CHARS_AT_ONCE = 8_192

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += CHARS_AT_ONCE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHARS_AT_ONCE))
  }
  return btoa(binary)
}

/** Undefined if it is not base64, or is another spelling of the same bytes. */
export function fromBase64(text: string): Uint8Array | undefined {
  let binary: string
  try {
    binary = atob(text)
  } catch {
    return undefined
  }
  if (btoa(binary) !== text) return undefined
  return Uint8Array.from(binary, (char) => char.charCodeAt(0))
}

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** Lower case. Undefined if it is not the hex of so many bytes. */
export function fromHex(text: string, length: number): Uint8Array | undefined {
  if (text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) return undefined
  return Uint8Array.from({ length }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))
}
