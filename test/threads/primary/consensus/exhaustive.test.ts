/**
 * The small model: a committee of four, four rounds, and all DAGs of a family, each as the view of a node.
 *
 * - round 1: all subsets; rounds above have a quorum of parents below
 * - round 2: all subsets, each certificate with all choices of parents (the four quorums of three, or all four)
 * - round 3: the anchor that decides about round 1 (authority 1), or not, with all choices of parents; of the others
 *   none, one, two or three, which link all. With CONSENSUS_EXHAUSTIVE=1 all subsets with all choices
 * - round 4: none, one or two certificates that link all: two make each anchor of round 3 direct
 *
 * Of each view the log must be a continuation of that of the view with one certificate less, for each certificate that
 * nothing links. So of any two views of one DAG both logs are beginnings of the log of their union, and they agree.
 *
 * Then the same with headers: authority 3 sends a header of round 2 with any parents, and its certificate has others; who
 * has no certificate of round 2 has sent a header.
 */
import { expect, test } from 'vitest'
import { Consensus } from '../../../../src/threads/primary/consensus/consensus.js'
import type { Certificate, Commit } from '../../../../src/threads/primary/consensus/types.js'
import { certify } from '../../../support/consensus/dags.js'
import { agree } from '../../../support/consensus/nodes.js'

interface Cell {
  readonly round: number
  readonly author: number
  readonly parents: readonly number[]
}
type View = readonly Cell[]

const ALL = [0, 1, 2, 3]
const EVERYTHING = process.env.CONSENSUS_EXHAUSTIVE === '1'
const line = ({ vertices }: Commit): string => vertices.map(({ digest }) => digest).join(' ')
const keyOf = (view: View): string =>
  view.map(({ round, author, parents }) => `${round}${author}${parents.join('')}`).join(' ')

const made = new Map<number, Certificate>()
/** Each certificate is made once. */
function certificateOf(round: number, author: number, parents: readonly number[]): Certificate {
  const key = parents.reduce((bits, parent) => bits | (1 << parent), 0) | (author << 4) | (round << 8)
  const known = made.get(key) ?? certify(round, author, parents)
  made.set(key, known)
  return known
}

function logOf(view: View, headers: readonly Cell[] = []): string[] {
  const consensus = new Consensus({ stakes: [1, 1, 1, 1], gcDepth: 50, rule: 'shoal' })
  const commits: Commit[] = []
  for (const [at, { round, author, parents }] of view.entries()) {
    if (round === 2 && view[at - 1]!.round === 1) {
      for (const { author, parents } of headers)
        commits.push(...consensus.addHeader(certificateOf(2, author, parents).header).commits)
    }
    commits.push(...consensus.addCertificate(certificateOf(round, author, parents)))
  }
  return commits.map(line)
}

/** All quorums among these authors. */
function quorums(authors: readonly number[]): number[][] {
  if (authors.length < 3) return []
  return authors.length === 3
    ? [[...authors]]
    : [[...authors], ...authors.map((left) => authors.filter((author) => author !== left))]
}

/** All ways to go on a view by one round, given what parents each author may choose from. */
function* onwards(
  view: View,
  round: number,
  choices: (author: number) => readonly (readonly number[])[],
): Generator<View> {
  function* from(author: number, so: View): Generator<View> {
    if (author === 4) {
      yield so
      return
    }
    yield* from(author + 1, so)
    for (const parents of choices(author)) yield* from(author + 1, [...so, { round, author, parents }])
  }
  yield* from(0, view)
}

const authorsOf = (view: View, round: number): number[] => view.filter((c) => c.round === round).map((c) => c.author)

function* lowerRounds(): Generator<View> {
  for (const first of onwards([], 1, () => [ALL])) {
    const parents = quorums(authorsOf(first, 1))
    yield* onwards(first, 2, () => parents)
  }
}

/** The views that go on from one of two rounds. */
function* upperRounds(lower: View): Generator<View> {
  const below = authorsOf(lower, 2)
  const all = quorums(below)
  for (const three of onwards(lower, 3, (author) => (author === 1 || EVERYTHING ? all : all.slice(0, 1)))) {
    const others = authorsOf(three, 3).filter((author) => author !== 1)
    if (!EVERYTHING && others.some((author, at) => author !== [0, 2, 3][at])) continue
    yield three
    const parents = authorsOf(three, 3)
    if (parents.length < 3) continue
    for (const count of [1, 2]) {
      yield [...three, ...ALL.slice(0, count).map((author) => ({ round: 4, author, parents }))]
    }
  }
}

test('all views of four nodes and four rounds agree', () => {
  let views = 0
  let pairs = 0
  let longest = 0
  for (const lower of lowerRounds()) {
    const logs = new Map<string, string[]>()
    for (const view of upperRounds(lower)) {
      const log = logOf(view)
      logs.set(keyOf(view), log)
      views += 1
      longest = Math.max(longest, log.length)
      for (const cell of view) {
        const linked = view.some(({ round, parents }) => round === cell.round + 1 && parents.includes(cell.author))
        if (linked || cell.round === 1) continue
        // Which two of round 4 there are is all one.
        const last = view.at(-1)!
        const without = view.filter((other) => other !== (cell.round === 4 ? last : cell))
        const before = logs.get(keyOf(without)) ?? logOf(without)
        pairs += 1
        if (before.length > log.length || !agree(before, log)) expect({ view, before, log }).toBe('in agreement')
      }
    }
  }
  if (process.env.CONSENSUS_SHOW) console.log(`${views} views, ${pairs} pairs`)
  expect(views).toBeGreaterThan(EVERYTHING ? 1_000_000 : 30_000)
  expect(longest).toBeGreaterThan(8)
}, 3_600_000)

test('headers of round 2, of which one is not that of its certificate, commit nothing that certificates do not', () => {
  let views = 0
  let early = 0
  for (const lower of lowerRounds()) {
    const present = authorsOf(lower, 1)
    if (authorsOf(lower, 2).length < 3) continue
    const certified = lower.filter(({ round, author }) => round === 2 && author !== 3)
    // Authority 3 lies; another one has no certificate yet, but a header.
    const others = ALL.filter((author) => !certified.some((cell) => cell.author === author))
    for (const view of upperRounds(lower)) {
      if (authorsOf(view, 4).length !== 2) continue
      const log = logOf(view)
      for (const parents of quorums(present)) {
        const other = logOf(view, [...certified, ...others.map((author) => ({ round: 2, author, parents }))])
        views += 1
        if (other.length > log.length) early += 1
        if (!agree(other, log)) expect({ view, other, log }).toBe('in agreement')
      }
    }
  }
  if (process.env.CONSENSUS_SHOW) console.log(`${views} views with headers, ${early} of them decided more`)
  expect(views).toBeGreaterThan(20_000)
}, 3_600_000)
