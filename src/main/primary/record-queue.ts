/** Records that wait for the stream to one peer: bounded, and the oldest give way. */
import { BATCH_FRAME_HEADER_BYTES } from '../../shared/constants.js'
import { FRAME_TYPES, writeFrameHeader } from '../../shared/wire/frames.js'
import { Deque } from '../lib/deque.js'
import { JOINED_FRAMES_BYTES, PEER_QUEUE_BYTES_MAX, PEER_QUEUE_RECORDS_MAX } from './limits.js'

export class RecordQueue {
  /** Records that were dropped, since the start. */
  dropped = 0
  private readonly records = new Deque<Uint8Array>()
  private bytes = 0

  get size(): number {
    return this.records.size
  }

  get byteLength(): number {
    return this.bytes
  }

  push(record: Uint8Array): void {
    this.records.pushBack(record)
    this.bytes += record.length
    while (this.bytes > PEER_QUEUE_BYTES_MAX || this.records.size > PEER_QUEUE_RECORDS_MAX) {
      this.shift()
      this.dropped += 1
    }
  }

  /** The oldest ones as frames, about JOINED_FRAMES_BYTES of them; `undefined` if there are none. */
  takeFrames(): Uint8Array | undefined {
    const taken: Uint8Array[] = []
    let bytes = 0
    while (this.records.size > 0 && bytes < JOINED_FRAMES_BYTES) {
      const record = this.shift()
      taken.push(record)
      bytes += BATCH_FRAME_HEADER_BYTES + record.length
    }
    if (taken.length === 0) return undefined
    const frames = new Uint8Array(bytes)
    let at = 0
    for (const record of taken) {
      writeFrameHeader(frames, at, FRAME_TYPES.record, record.length)
      frames.set(record, at + BATCH_FRAME_HEADER_BYTES)
      at += BATCH_FRAME_HEADER_BYTES + record.length
    }
    return frames
  }

  clear(): void {
    while (this.records.size > 0) this.shift()
  }

  private shift(): Uint8Array {
    const record = this.records.popFront()!
    this.bytes -= record.length
    return record
  }
}
