/**
 * The digests of ours that others lack, and whose turn is next. Pure: the clock is handed in.
 *
 * ```
 *  source A ─────▶ ▯▯▯▯ ─┐
 *  source B ─────▶ ▯ ────┼─ in turn ─▶ next ─▶ healed: not again for PUSH_AGAIN_INTERVAL_MS
 *  owed to peer 3 ─▶ ▯▯ ─┘
 * ```
 *
 * Each source waits in a line of its own, and lines take turns: one that asks for thousands holds up nobody who asks for
 * one. In a line the newest is the next: votes count for the newest header of an authority only, so what an older header
 * names is less urgent. A digest waits once, whoever asks. When all places are taken the longest line loses its oldest.
 *
 * What was asked for goes to all peers. What one peer is owed goes to that peer alone, whatever the others were sent, and
 * its interval is its own.
 */

import { PUSH_AGAIN_QUEUE_MAX } from '../../../shared/constants.js'
import { digestKey } from '../../../shared/wire/digest-key.js'
import { Deque } from '../../lib/deque.js'
import { HEALED_REMEMBERED_MAX, HEALS_WAITING_MAX, PUSH_AGAIN_INTERVAL_MS } from './limits.js'

export interface Heal {
  readonly digest: Uint8Array
  /** Who is owed it; undefined: it goes to all. */
  readonly peer: number | undefined
}

export class HealQueue {
  /** By source, in the order of their turns. None is empty. */
  private readonly lines = new Map<string, Deque<Heal>>()
  private readonly waiting = new Set<string>()
  /** When each was healed, the oldest first: none is older than the interval, and none is forgotten before. */
  private readonly healedMs = new Map<string, number>()

  get size(): number {
    return this.waiting.size
  }

  /** Returns how many found no place, or lost theirs. What was healed within the interval is left out. */
  add(digests: readonly Uint8Array[], source: string, nowMs: number): number {
    this.forget(nowMs)
    return this.place(
      digests.filter((digest) => !this.healedMs.has(digestKey(digest))),
      undefined,
      source,
    )
  }

  /** The same for what a peer was not sent when it was healed. What waits for all peers is left out: it goes to this one too. */
  addOwed(digests: readonly Uint8Array[], peer: number, nowMs: number): number {
    return this.place(
      digests.filter((digest) => !this.waiting.has(digestKey(digest)) && !this.wasHealedFor(peer, digest, nowMs)),
      peer,
      `owed to ${peer}`,
    )
  }

  /** Whether the peer alone was sent this within the interval. */
  wasHealedFor(peer: number, digest: Uint8Array, nowMs: number): boolean {
    this.forget(nowMs)
    return this.healedMs.has(keyOf({ digest, peer }))
  }

  private place(digests: readonly Uint8Array[], peer: number | undefined, source: string): number {
    let lost = 0
    for (const digest of digests) {
      const heal: Heal = { digest, peer }
      const key = keyOf(heal)
      if (this.waiting.has(key)) continue
      const line = this.lines.get(source) ?? new Deque<Heal>()
      const isFull = this.size >= HEALS_WAITING_MAX
      // Of this line or of another, one is lost.
      if (isFull || line.size >= PUSH_AGAIN_QUEUE_MAX) lost += 1
      if (line.size >= PUSH_AGAIN_QUEUE_MAX) this.waiting.delete(keyOf(line.popFront()!))
      else if (isFull && !this.makeWay(line.size)) continue
      this.lines.set(source, line)
      line.pushBack(heal)
      this.waiting.add(key)
    }
    return lost
  }

  /** The next one; undefined if there is none, or so many were healed lately that no more can be remembered. */
  next(nowMs: number): Heal | undefined {
    this.forget(nowMs)
    if (this.healedMs.size >= HEALED_REMEMBERED_MAX) return undefined
    for (const [source, line] of this.lines) {
      this.lines.delete(source)
      const heal = line.popBack()!
      if (line.size > 0) this.lines.set(source, line)
      this.waiting.delete(keyOf(heal))
      return heal
    }
    return undefined
  }

  healed(heal: Heal, nowMs: number): void {
    const key = keyOf(heal)
    this.healedMs.delete(key)
    this.healedMs.set(key, nowMs)
  }

  clear(): void {
    this.lines.clear()
    this.waiting.clear()
  }

  /** Takes the oldest of the longest line, if that is longer than the one that needs the place. */
  private makeWay(length: number): boolean {
    let longest: Deque<Heal> | undefined
    for (const line of this.lines.values()) if (line.size > (longest?.size ?? length)) longest = line
    const heal = longest?.popFront()
    if (heal === undefined) return false
    this.waiting.delete(keyOf(heal))
    return true
  }

  private forget(nowMs: number): void {
    for (const [key, atMs] of this.healedMs) {
      if (nowMs - atMs < PUSH_AGAIN_INTERVAL_MS) return
      this.healedMs.delete(key)
    }
  }
}

/** What goes to all peers, and to each of them alone, are different things. */
function keyOf({ digest, peer }: Heal): string {
  return peer === undefined ? digestKey(digest) : `${peer} ${digestKey(digest)}`
}
