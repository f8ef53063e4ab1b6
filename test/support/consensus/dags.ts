/** Random DAGs as a committee could make them, with crashes, slow authors and headers that equivocate. */
import type {
  AuthorityIndex,
  Certificate,
  Digest,
  Header,
  PayloadEntry,
  Round,
} from '../../../src/threads/primary/consensus/types.js'

export type Random = () => number

export interface TestDag {
  readonly stakes: readonly number[]
  /** Parents first. */
  readonly certificates: readonly Certificate[]
  /** By author and round the headers that exist. Of more than one, any node sees one or several. */
  readonly headers: readonly (readonly Header[])[]
}

export interface DagOptions {
  readonly random: Random
  readonly stakes: readonly number[]
  readonly rounds: number
  /** Whether up to F of the stake sends two and three headers of a round. */
  readonly equivocation?: boolean
  /** Rounds of a phase with the same crashed and slow authors. */
  readonly phaseRounds?: number
}

export const quorumOf = (stakes: readonly number[]): number => Math.floor((2 * total(stakes)) / 3) + 1
export const faultyOf = (stakes: readonly number[]): number => total(stakes) - quorumOf(stakes)
const total = (stakes: readonly number[]): number => stakes.reduce((sum, stake) => sum + stake, 0)

/** Digests of a round ascend with the author. */
export function digestOf(round: Round, author: AuthorityIndex, variant = 0): Digest {
  return `${String(round).padStart(6, '0')}/${String(author).padStart(3, '0')}/${variant}`
}

export function header(
  round: Round,
  author: AuthorityIndex,
  parents: readonly AuthorityIndex[],
  more: Partial<Header> = {},
  variant = 0,
): Header {
  return {
    author,
    round,
    id: digestOf(round, author, variant),
    parents: parents.map((parent) => digestOf(round - 1, parent)),
    createdAt: 0,
    payload: [],
    ...more,
  }
}

export function certificate(of: Header): Certificate {
  return { digest: of.id, header: of }
}

/** The certificate of a header without payload. */
export function certify(round: Round, author: AuthorityIndex, parents: readonly AuthorityIndex[]): Certificate {
  return certificate(header(round, author, parents))
}

/** A DAG from the parents of each certificate: `[round, author, parents]`. */
export function dagOf(
  stakes: readonly number[],
  rows: readonly (readonly [Round, number, readonly number[]])[],
): TestDag {
  return { stakes, certificates: rows.map(([r, a, parents]) => certify(r, a, parents)), headers: [] }
}

export function randomDag({ random, stakes, rounds, equivocation = false, phaseRounds = 4 }: DagOptions): TestDag {
  const authors = stakes.map((_, author) => author)
  const equivocators = equivocation ? subset(random, stakes, faultyOf(stakes), 1) : new Set<AuthorityIndex>()
  const certificates: Certificate[] = []
  const headers: Header[][] = []
  // Of few links few anchors are direct: the rule jumps over rounds, and more than F of the stake lags.
  const density = random() < 0.5 ? 0.85 : 0.2
  let before = authors
  let crashed = new Set<AuthorityIndex>()
  let slow = new Set<AuthorityIndex>()
  for (let round = 1; round <= rounds; round += 1) {
    if ((round - 1) % phaseRounds === 0) {
      crashed = subset(random, stakes, faultyOf(stakes), 0.7)
      slow = subset(random, stakes, faultyOf(stakes), 0.6)
    }
    const make = (author: AuthorityIndex, variant: number): Header =>
      header(
        round,
        author,
        pickParents(random, stakes, before, slow, density, author),
        randomContent(random, round, authors),
        variant,
      )
    for (const author of authors) {
      headers.push(equivocators.has(author) ? [0, 1, 2].map((variant) => make(author, variant)) : [make(author, 0)])
    }
    before = authors.filter((author) => !crashed.has(author))
    certificates.push(...before.map((author) => certificate(headers.at(author - authors.length)![0]!)))
  }
  return { stakes, certificates, headers }
}

/** Authors with at most `stakeMax` together; with probability 1 − p nobody. */
export function subset(random: Random, stakes: readonly number[], stakeMax: number, p: number): Set<AuthorityIndex> {
  const chosen = new Set<AuthorityIndex>()
  if (random() >= p) return chosen
  let stake = 0
  for (const author of shuffled(random, [...stakes.keys()])) {
    if (stake + stakes[author]! > stakeMax) continue
    stake += stakes[author]!
    chosen.add(author)
  }
  return chosen
}

export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const all = [...items]
  for (let at = all.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1))
    ;[all[at], all[other]] = [all[other]!, all[at]!]
  }
  return all
}

/** Who is slow is seldom linked by others, and always by itself: so there are long branches that nobody has committed. */
function pickParents(
  random: Random,
  stakes: readonly number[],
  before: readonly AuthorityIndex[],
  slow: ReadonlySet<AuthorityIndex>,
  density: number,
  self: AuthorityIndex,
): AuthorityIndex[] {
  const picked = before.filter((author) => author === self || random() < (slow.has(author) ? 0.1 : density))
  const rest = shuffled(
    random,
    before.filter((author) => !picked.includes(author)),
  )
  const stake = (): number => picked.reduce((sum, author) => sum + stakes[author]!, 0)
  while (stake() < quorumOf(stakes)) picked.push(rest.pop()!)
  return picked
}

/** Batches of which some are listed again later, by their author or others, and some under another digest; absurd times. */
function randomContent(random: Random, round: Round, authors: readonly AuthorityIndex[]): Partial<Header> {
  const payload = Array.from({ length: Math.floor(random() * 3) }, (): PayloadEntry => {
    const author = Math.floor(random() * authors.length)
    const sequence = BigInt(2 * round + Math.floor(random() * 4))
    return {
      digest: `${author}/${sequence}/${random() < 0.8 ? 'a' : 'b'}`,
      author,
      worker: Math.floor(random() * 2),
      sequence,
    }
  })
  const createdAt = random() < 0.1 ? Math.floor(random() * 1e9) : 1000 * round + Math.floor(random() * 3000)
  return { payload, createdAt }
}
