/**
 * Who has the link of one worker. Pure: times are handed in. A worker is one process with one store; where two run, by an
 * operator's mistake, the first one keeps the link for as long as it lives.
 *
 * ```
 *  comes ──nobody has it──▶ holds ◀────────────────────────────── the holder is gone: closed, or silent for too long
 *    └───somebody has it──▶ waits ──the holder is heard──▶ refused: `already-linked`     │
 *                             └──────────────────────────────────────────────────────────┘
 * ```
 *
 * So a worker whose host vanished without a word has its link again as soon as the old one counts as silent, and one that
 * is there is never disturbed.
 */
import { LINK_PROOF_MS } from './limits.js'

/** What becomes of a newcomer, and of who waited before it. */
export interface Arrival<L> {
  readonly isHolder: boolean
  /** It waited, and gives its place to the newcomer. */
  readonly replaced: L | undefined
}

export class LinkPlace<L> {
  private current: L | undefined
  private waiting: { readonly link: L; readonly sinceMs: number } | undefined

  get holder(): L | undefined {
    return this.current
  }

  come(link: L, nowMs: number): Arrival<L> {
    if (this.current === undefined) {
      this.current = link
      return { isHolder: true, replaced: undefined }
    }
    const replaced = this.waiting?.link
    this.waiting = { link, sinceMs: nowMs }
    return { isHolder: false, replaced }
  }

  /** A message of it has come. Whoever waits for its place is returned, and is to be refused: it has no place any more. */
  heard(link: L, nowMs: number): L | undefined {
    const { waiting } = this
    if (waiting === undefined || link !== this.current) return undefined
    // What came before may have been on its way when its host vanished.
    if (nowMs - waiting.sinceMs < LINK_PROOF_MS) return undefined
    this.waiting = undefined
    return waiting.link
  }

  /** It is gone. Whoever waited for its place is returned: it holds from now on. */
  left(link: L): L | undefined {
    if (this.waiting?.link === link) this.waiting = undefined
    if (this.current !== link) return undefined
    this.current = this.waiting?.link
    this.waiting = undefined
    return this.current
  }
}
