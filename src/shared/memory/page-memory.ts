/**
 * Shared memory that begins at a page of the machine's memory. The system writes from there to a disk without a copy
 * (O_DIRECT), and refuses to from any other place.
 *
 * A `SharedArrayBuffer` of its own begins anywhere. The buffer of a shared `WebAssembly.Memory` begins at a page, and no
 * other memory of Node's is known to. WebAssembly addresses 4 GiB, so no such buffer is longer.
 */
import assert from 'node:assert'
import { NarvalError } from '../errors.js'

/** Bytes of a page, and of the least piece that a disk takes: addresses, positions and lengths are multiples of it. */
export const PAGE_BYTES = 4096
const WASM_PAGE_BYTES = 65_536
/** Bytes of the longest buffer. */
export const PAGE_MEMORY_BYTES_MAX = 65_536 * WASM_PAGE_BYTES

/** The one class used of WebAssembly, which TypeScript describes for browsers only. */
interface Memories {
  readonly Memory: new (size: {
    initial: number
    maximum: number
    shared: true
  }) => { readonly buffer: SharedArrayBuffer }
}

/** At least so many bytes, zeroed. @throws NarvalError ERR_PLATFORM */
export function pageMemory(bytes: number): SharedArrayBuffer {
  assert(bytes <= PAGE_MEMORY_BYTES_MAX, 'WebAssembly addresses 4 GiB')
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  const { Memory } = (globalThis as unknown as { WebAssembly: Memories }).WebAssembly
  return allocated(bytes, () => new Memory({ initial: pages, maximum: pages, shared: true }).buffer)
}

/** @throws NarvalError ERR_PLATFORM where there is no such memory */
export function allocated(bytes: number, allocate: () => SharedArrayBuffer): SharedArrayBuffer {
  try {
    return allocate()
  } catch (error) {
    throw new NarvalError(
      'ERR_PLATFORM',
      `${bytes} bytes of shared memory cannot be had: lower own_slots, inbound_slots or batch_size, or give the process more memory, and more addresses (ulimit -v)`,
      { cause: error },
    )
  }
}

/** `bytes` rounded up to whole pages. */
export function wholePages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}
