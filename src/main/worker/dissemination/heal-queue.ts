/**
 * The digests of ours that others lack, and whose turn is next. Pure: the clock is handed in.
 *
 * ```
 *  source A ─▶ ▯▯▯▯ ─┐
 *  source B ─▶ ▯ ────┼─ in turn ─▶ next ─▶ healed: not again for PUSH_AGAIN_INTERVAL_MS
 *  source C ─▶ ▯▯ ───┘
 * ```
 *
 * Each source waits in a line of its own, and lines take turns: one that asks for thousands holds up nobody who asks for
 * one. In a line the newest is the next: votes count for the newest header of an authority only, so what an older header
 * names is less urgent. A digest waits once, whoever asks. When all places are taken the longest line loses its oldest.
 */

import { PUSH_AGAIN_QUEUE_MAX } from '../../../shared/constants.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import { Deque } from '../../lib/deque.js'
import { HEALED_REMEMBERED_MAX, HEALS_WAITING_MAX, PUSH_AGAIN_INTERVAL_MS } from './limits.js'

export class HealQueue {
  /** By source, in the order of their turns. None is empty. */
  private readonly lines = new Map<string, Deque<Uint8Array>>()
  private readonly waiting = new Set<string>()
  /** When each digest was healed, the oldest first: none is older than the interval, and none is forgotten before. */
  private readonly healedMs = new Map<string, number>()

  get size(): number {
    return this.waiting.size
  }

  /** Returns how many found no place, or lost theirs. What was healed within the interval is left out. */
  add(digests: readonly Uint8Array[], source: string, nowMs: number): number {
    this.forget(nowMs)
    return this.place(
      digests.filter((digest) => !this.healedMs.has(digestKey(digest))),
      source,
    )
  }

  /** The same for what a peer was not sent when it was healed. */
  addOwed(digests: readonly Uint8Array[], peer: number): number {
    return this.place(digests, `owed to ${peer}`)
  }

  private place(digests: readonly Uint8Array[], source: string): number {
    let lost = 0
    for (const digest of digests) {
      const key = digestKey(digest)
      if (this.waiting.has(key)) continue
      const line = this.lines.get(source) ?? new Deque<Uint8Array>()
      const isFull = this.size >= HEALS_WAITING_MAX
      // Of this line or of another, one is lost.
      if (isFull || line.size >= PUSH_AGAIN_QUEUE_MAX) lost += 1
      if (line.size >= PUSH_AGAIN_QUEUE_MAX) this.waiting.delete(digestKey(line.popFront()!))
      else if (isFull && !this.makeWay(line.size)) continue
      this.lines.set(source, line)
      line.pushBack(digest)
      this.waiting.add(key)
    }
    return lost
  }

  /** The next digest; undefined if there is none, or so many were healed lately that no more can be remembered. */
  next(nowMs: number): Uint8Array | undefined {
    this.forget(nowMs)
    if (this.healedMs.size >= HEALED_REMEMBERED_MAX) return undefined
    for (const [source, line] of this.lines) {
      this.lines.delete(source)
      const digest = line.popBack()!
      if (line.size > 0) this.lines.set(source, line)
      this.waiting.delete(digestKey(digest))
      return digest
    }
    return undefined
  }

  healed(digest: Uint8Array, nowMs: number): void {
    const key = digestKey(digest)
    this.healedMs.delete(key)
    this.healedMs.set(key, nowMs)
  }

  clear(): void {
    this.lines.clear()
    this.waiting.clear()
  }

  /** Takes the oldest of the longest line, if that is longer than the one that needs the place. */
  private makeWay(length: number): boolean {
    let longest: Deque<Uint8Array> | undefined
    for (const line of this.lines.values()) if (line.size > (longest?.size ?? length)) longest = line
    const digest = longest?.popFront()
    if (digest === undefined) return false
    this.waiting.delete(digestKey(digest))
    return true
  }

  private forget(nowMs: number): void {
    for (const [key, atMs] of this.healedMs) {
      if (nowMs - atMs < PUSH_AGAIN_INTERVAL_MS) return
      this.healedMs.delete(key)
    }
  }
}
