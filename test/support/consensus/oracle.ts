/**
 * The rules once more, naively: all is computed anew from the sets of what a node was given, with no memory of what was
 * computed before, no garbage collection, and graph searches for everything.
 */
import type { RuleName } from '../../../src/threads/primary/consensus/rule.js'
import type { Certificate, Header } from '../../../src/threads/primary/consensus/types.js'

interface Given {
  readonly stakes: readonly number[]
  readonly gcDepth: number
  readonly rule: RuleName
  readonly certificates: readonly Certificate[]
  readonly headers: readonly Header[]
}

/** The commits' lines, as `logLine` writes them. */
export function oracle(given: Given): string[] {
  const { stakes, gcDepth, rule } = given
  const n = stakes.length
  const N = stakes.reduce((sum, stake) => sum + stake, 0)
  const Q = Math.floor((2 * N) / 3) + 1
  const F = N - Q
  const V = Math.floor((N + 2) / 3)
  const byDigest = new Map(given.certificates.map((c) => [c.digest, c]))
  const byPlace = new Map(given.certificates.map((c) => [`${c.header.round}/${c.header.author}`, c]))
  const at = (round: number, author: number): Certificate | undefined => byPlace.get(`${round}/${author}`)
  const highest = Math.max(0, ...given.certificates.map(({ header }) => header.round))
  const stakeOf = (authors: Iterable<number>): number => [...new Set(authors)].reduce((sum, a) => sum + stakes[a]!, 0)
  const linkers = (headers: readonly Header[]): Map<string, number[]> => {
    const found = new Map<string, number[]>()
    for (const { author, parents } of headers) {
      for (const parent of parents) found.set(parent, [...(found.get(parent) ?? []), author])
    }
    return found
  }
  const twice = (h: Header): boolean =>
    given.headers.some((o) => o.author === h.author && o.round === h.round && o.id !== h.id)
  const byCertificates = linkers([...byDigest.values()].map((c) => c.header))
  const byHeaders = linkers(given.headers.filter((h) => !twice(h)))
  const links = (c: Certificate): number => stakeOf(byCertificates.get(c.digest) ?? [])
  const headerLinks = (c: Certificate): number => stakeOf(byHeaders.get(c.digest) ?? [])
  const history = (c: Certificate, found = new Set<Certificate>()): Set<Certificate> => {
    if (found.has(c)) return found
    found.add(c)
    for (const parent of c.header.parents) if (byDigest.has(parent)) history(byDigest.get(parent)!, found)
    return found
  }
  const order = (a: Certificate, b: Certificate): number =>
    a.header.round - b.header.round || a.header.author - b.header.author

  const lines: string[] = []
  const done = new Set<Certificate>()
  const last = new Array<number>(n).fill(0)
  const batchesSeen = new Set<string>()
  const claimants = new Map<string, number[]>()
  let time = 0

  /** The first direct slot, and from there back to the earliest that it reaches. */
  const choose = (slots: [number, number][], direct: (c: Certificate) => boolean): Certificate | undefined => {
    const here = slots.map(([round, author]) => at(round, author))
    let chosen = here.find((c) => c !== undefined && direct(c))
    for (const c of here.slice(0, here.indexOf(chosen)).reverse()) {
      if (c !== undefined && chosen !== undefined && history(chosen).has(c)) chosen = c
    }
    return chosen
  }

  const emit = (anchor: Certificate, vertices: Certificate[]): void => {
    const before = anchor.header.parents.flatMap((parent) => byDigest.get(parent)?.header ?? [])
    const half = (h: Header): boolean =>
      2 * stakeOf(before.filter((o) => o.createdAt <= h.createdAt).map((o) => o.author)) >=
      stakeOf(before.map((o) => o.author))
    const medians = before.filter(half).map((h) => h.createdAt)
    if (medians.length > 0) time = Math.max(time, Math.min(...medians))
    const batches: string[] = []
    for (const c of vertices) {
      done.add(c)
      last[c.header.author] = Math.max(last[c.header.author]!, c.header.round)
      for (const { author, digest, worker, sequence } of c.header.payload) {
        const name = `${author}.${worker}.${sequence}`
        const claimed = [...(claimants.get(name + digest) ?? []), c.header.author]
        if (author !== c.header.author) claimants.set(name + digest, claimed)
        if (batchesSeen.has(name) || (author !== c.header.author && stakeOf(claimed) < V)) continue
        batches.push(`${name}=${digest}`)
        batchesSeen.add(name)
      }
    }
    const digests = vertices.map(({ digest }) => digest).join(' ')
    lines.push(`${lines.length + 1} ${anchor.digest} at ${time}: ${digests} | ${batches.join(' ')}`)
  }

  const subDag = (anchor: Certificate): Certificate[] =>
    [...history(anchor)].filter((c) => !done.has(c) && c.header.round > anchor.header.round - gcDepth).sort(order)

  /** Tusk's: depth first, passing over what is not newer than the last committed certificate of its author. */
  const tuskOrder = (leader: Certificate): Certificate[] => {
    const found: Certificate[] = []
    const queued = [leader]
    const known = new Set<Certificate>()
    while (queued.length > 0) {
      const c = queued.pop()!
      found.push(c)
      const parents = [...c.header.parents].sort().flatMap((parent) => byDigest.get(parent) ?? [])
      for (const p of parents) {
        if (known.has(p) || last[p.header.author]! >= p.header.round) continue
        known.add(p)
        queued.push(p)
      }
    }
    const oldest = Math.max(...last) - gcDepth
    const kept = found.filter((c) => c.header.round >= oldest)
    return [...new Set(kept.map((c) => c.header.round))]
      .sort((a, b) => a - b)
      .flatMap((round) => kept.filter((c) => c.header.round === round))
  }

  if (rule !== 'shoal') {
    for (let leader = 0; ; ) {
      const slots: [number, number][] = []
      for (let r = leader + 2; r + (rule === 'tusk' ? 3 : 1) <= highest; r += 2) {
        slots.push([r, (rule === 'tusk' ? r : r / 2) % n])
      }
      const anchor = choose(slots, (c) => links(c) >= V)
      if (anchor === undefined) return lines
      emit(anchor, rule === 'tusk' ? tuskOrder(anchor) : subDag(anchor))
      leader = anchor.header.round
    }
  }

  const streak = new Array<number>(n).fill(0)
  const penalty = new Array<number>(n).fill(0)
  const lagging = new Set<number>()
  let weak: number[] = []
  let [round, rank] = [0, 0]
  const enter = (r: number): void => {
    ;[round, rank] = [r, 0]
    for (let a = 0; a < n && r > 3; a += 1) {
      if (last[a]! < r - 2) {
        streak[a] = 0
        if (!lagging.has(a)) penalty[a] = Math.min(64, Math.max(2, 2 * penalty[a]!))
        lagging.add(a)
      } else {
        streak[a]! += 1
        if (streak[a]! >= penalty[a]!) lagging.delete(a)
        if (streak[a]! >= 200) penalty[a] = 0
      }
    }
    const worst = [...lagging].sort((a, b) => streak[a]! - streak[b]! || penalty[b]! - penalty[a]! || a - b)
    while (stakeOf(worst) > F) worst.pop()
    weak = worst
  }
  const anchors = (r: number): number[] =>
    stakes.map((_, i) => (Math.floor(r / 2) + i) % n).filter((a) => !weak.includes(a))
  const step = (): void => {
    if (rank + 1 < anchors(round).length) rank += 1
    else enter(round + 1)
  }
  for (enter(1); ; ) {
    const slots: [number, number][] = [[round, anchors(round)[rank]!]]
    for (let r = round + 2; r <= highest; r += 2) slots.push([r, anchors(r)[0]!])
    const anchor = choose(slots, (c) => links(c) >= V || headerLinks(c) >= 2 * F + 1)
    if (anchor === undefined) return lines
    const vertices = subDag(anchor)
    if (vertices.length > 0) emit(anchor, vertices)
    while (round < anchor.header.round) enter(round + 1)
    step()
  }
}
