/**
 * A place in the order as text: `12` is behind all of commit 12, `12.3` behind the batch at position 3 of it. Pure.
 */
import type { LogCursor } from '../../../shared/store/primary/follow-commits.js'
import { wrongQuery } from '../door/query.js'

const CURSOR = /^(\d{1,16})(?:\.(\d{1,16}))?$/

export function formatCursor({ commit, position }: LogCursor): string {
  return position === Number.POSITIVE_INFINITY ? String(commit) : `${commit}.${position}`
}

/** @throws NarvalError ERR_REQUEST_MALFORMED */
export function parseCursor(name: string, text: unknown): LogCursor {
  const [, commit, position] = (typeof text === 'string' ? CURSOR.exec(text) : undefined) ?? []
  const cursor = {
    commit: Number(commit ?? Number.NaN),
    position: position === undefined ? Number.POSITIVE_INFINITY : Number(position),
  }
  const isPlace =
    Number.isSafeInteger(cursor.commit) && (position === undefined || Number.isSafeInteger(cursor.position))
  if (isPlace && (cursor.commit > 0 || position === undefined)) return cursor
  throw wrongQuery(name, 'the index of a commit, or commit.position', text)
}
