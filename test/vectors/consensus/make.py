"""Makes the vectors of test/threads/primary/consensus/vectors.test.ts: DAGs, and what a model written apart from narval,
in another language and from sets, orders on them after each event.

    python3 test/vectors/consensus/make.py

writes shoal.json, tusk.json and bullshark.json beside itself. It needs Python 3 and nothing else.

The model is the first half of the file. It holds all of the DAG for ever and searches it anew for each question; garbage
collection is only the bound of a sub-dag. Rules: SHOAL with all certified vertices but those of the weak set as anchors (Shoal,
arXiv 2306.03058; Shoal++, arXiv 2405.20488); Tusk as asonnino/narwhal's consensus/src/lib.rs has it, with `<=`; Bullshark
(arXiv 2209.05633).

A file is {"rule", "gcDepth", "runs": [{"stakes", "events": [[kind, round, author, variant, parents, commits]]}]}: kind is
"c" for a certificate and "h" for a header; of two headers with different variants of one round and author the second is
evidence; parents are authors; commits are what the event commits, one list of [round, author] for each anchor.
"""
import json
import os
import random


def thresholds(stakes):
    n = sum(stakes)
    q = 2 * n // 3 + 1
    return q, n - q, (n + 2) // 3


class Dag:
    def __init__(self, stakes):
        self.stakes = stakes
        self.q, self.f, self.v = thresholds(stakes)
        self.certs = {}
        self.headers = {}

    def stake(self, authors):
        return sum(self.stakes[a] for a in set(authors))

    def links(self, r, a):
        return self.stake(b for (q, b), ps in self.certs.items() if q == r + 1 and a in ps)

    def header_links(self, r, a):
        return self.stake(
            b for (q, b), seen in self.headers.items() if q == r + 1 and len(seen) == 1 and a in list(seen.values())[0]
        )

    def history(self, x):
        seen, todo = {x}, [x]
        while todo:
            r, a = todo.pop()
            for y in ((r - 1, b) for b in self.certs[(r, a)]):
                if y in self.certs and y not in seen:
                    seen.add(y)
                    todo.append(y)
        return seen

    def top(self):
        return max((r for r, _ in self.certs), default=0)

    def earliest(self, slots, direct):
        i = next((i for i, x in enumerate(slots) if x in self.certs and direct(*x)), None)
        if i is None:
            return None
        x = slots[i]
        for y in reversed(slots[:i]):
            if y in self.certs and y in self.history(x):
                x = y
        return x


class Rule:
    def __init__(self, stakes, gc):
        self.n, self.gc, self.d = len(stakes), gc, Dag(stakes)
        self.done, self.last, self.leader = set(), [0] * len(stakes), 0

    def feed(self, kind, r, a, variant, parents):
        if kind == 'c':
            self.d.certs[(r, a)] = frozenset(parents)
        else:
            self.d.headers.setdefault((r, a), {}).setdefault(variant, frozenset(parents))
        commits = []
        while (x := self.next()) is not None:
            sub = self.order(x)
            self.done |= set(sub)
            for q, b in sub:
                self.last[b] = max(self.last[b], q)
            self.after(x)
            if sub:
                commits.append(sub)
        return commits

    def order(self, x):
        return sorted(y for y in self.d.history(x) if y not in self.done and y[0] > x[0] - self.gc)

    def after(self, x):
        self.leader = x[0]


class Bullshark(Rule):
    def next(self):
        slots = [(r, (r // 2) % self.n) for r in range(self.leader + 2, self.d.top(), 2)]
        return self.d.earliest(slots, lambda r, a: self.d.links(r, a) >= self.d.v)


class Tusk(Rule):
    def next(self):
        slots = [(r, r % self.n) for r in range(self.leader + 2, self.d.top() - 2, 2)]
        return self.d.earliest(slots, lambda r, a: self.d.links(r, a) >= self.d.v)

    def order(self, x):
        out, stack, queued, oldest = [], [x], set(), max(self.last) - self.gc
        while stack:
            r, a = stack.pop()
            out.append((r, a))
            for b in sorted(self.d.certs[(r, a)]):
                y = (r - 1, b)
                if y in self.d.certs and y not in queued and self.last[b] < y[0]:
                    queued.add(y)
                    stack.append(y)
        return sorted((y for y in out if y[0] >= oldest), key=lambda y: y[0])


class Shoal(Rule):
    def __init__(self, stakes, gc):
        super().__init__(stakes, gc)
        self.streak, self.pen, self.lag, self.weak = [0] * self.n, [0] * self.n, set(), set()
        self.r, self.k = 1, 0

    def enter(self, r):
        self.r, self.k = r, 0
        for a in range(self.n if r > 3 else 0):
            if self.last[a] < r - 2:
                self.streak[a] = 0
                if a not in self.lag:
                    self.pen[a] = min(64, max(2, 2 * self.pen[a]))
                    self.lag.add(a)
            else:
                self.streak[a] += 1
                if self.streak[a] >= self.pen[a]:
                    self.lag.discard(a)
                if self.streak[a] >= 200:
                    self.pen[a] = 0
        self.weak, stake = set(), 0
        for a in sorted(self.lag, key=lambda a: (self.streak[a], -self.pen[a], a)):
            stake += self.d.stakes[a]
            if stake > self.d.f:
                break
            self.weak.add(a)

    def anchors(self, r):
        return [a for a in ((r // 2 + i) % self.n for i in range(self.n)) if a not in self.weak]

    def next(self):
        slots = [(self.r, self.anchors(self.r)[self.k])]
        slots += [(r, self.anchors(r)[0]) for r in range(self.r + 2, self.d.top() + 1, 2)]
        d = self.d
        return d.earliest(slots, lambda r, a: d.links(r, a) >= d.v or d.header_links(r, a) >= 2 * d.f + 1)

    def after(self, x):
        while self.r < x[0]:
            self.enter(self.r + 1)
        self.k += 1
        if self.k >= len(self.anchors(self.r)):
            self.enter(self.r + 1)


def some(rng, stakes, most):
    """Authors with at most so much stake."""
    chosen, stake = set(), 0
    for a in rng.sample(range(len(stakes)), len(stakes)):
        if stake + stakes[a] <= most and rng.random() < 0.7:
            chosen.add(a)
            stake += stakes[a]
    return chosen


def make_dag(rng, stakes, rounds):
    """Crashed and slow authors change every few rounds; up to F of the stake sends several headers of a round."""
    q, f, _ = thresholds(stakes)
    n = len(stakes)
    liars = some(rng, stakes, f)
    before, certs, headers, phase = list(range(n)), [], [], 0
    crashed, slow = set(), set()
    for r in range(1, rounds + 1):
        if phase == 0:
            crashed, slow, phase = some(rng, stakes, f), some(rng, stakes, f), rng.choice([3, 4, 5])
        phase -= 1

        def pick(self):
            ps = {a for a in before if a == self or rng.random() < (0.15 if a in slow else 0.85)}
            rest = [a for a in before if a not in ps]
            rng.shuffle(rest)
            while sum(stakes[a] for a in ps) < q:
                ps.add(rest.pop())
            return sorted(ps)

        now = []
        for a in range(n):
            variants = [pick(a) for _ in range(3 if a in liars else 1)]
            headers.append((r, a, variants))
            if a not in crashed:
                certs.append((r, a, variants[0]))
                now.append(a)
        before = now
    return certs, headers


def make_events(rng, certs, headers, lag):
    """One node's view: lagging, parents first."""
    timed = [(r * 3 + 2 + rng.random() * lag, ('c', r, a, 0, ps)) for r, a, ps in certs]
    for r, a, variants in headers:
        for v in rng.sample(range(len(variants)), min(len(variants), rng.choice([1, 1, 1, 2]))):
            if rng.random() < 0.85:
                timed.append((r * 3 + rng.random() * lag, ('h', r, a, v, variants[v])))
    waiting, have, out = [], set(), []
    for _, event in sorted(timed):
        waiting.append(event)
        progress = True
        while progress:
            progress = False
            for e in list(waiting):
                if e[1] == 1 or all((e[1] - 1, p) in have for p in e[4]):
                    waiting.remove(e)
                    out.append(e)
                    progress = True
                    if e[0] == 'c':
                        have.add((e[1], e[2]))
    return out


COMMITTEES = [[1] * 4, [3, 1, 3, 1], [1] * 5, [1] * 7, [5, 1, 2, 9, 4, 3, 7], [1] * 10]

if __name__ == '__main__':
    here = os.path.dirname(os.path.abspath(__file__))
    for rule in (Shoal, Tusk, Bullshark):
        for gc in (4, 50):
            runs = []
            for seed in range(12):
                rng = random.Random(f'{rule.__name__} {gc} {seed}')
                stakes = COMMITTEES[seed % len(COMMITTEES)]
                certs, headers = make_dag(rng, stakes, 14 if len(stakes) < 7 else 10)
                model, events = rule(stakes, gc), []
                for event in make_events(rng, certs, headers, rng.choice([4, 9, 14])):
                    commits = model.feed(*event)
                    events.append([*event, [[list(x) for x in sub] for sub in commits]])
                runs.append({'stakes': stakes, 'events': events})
            name = f'{rule.__name__.lower()}-gc{gc}'
            with open(os.path.join(here, f'{name}.json'), 'w', encoding='utf-8') as file:
                lines = ',\n'.join(json.dumps(run, separators=(',', ':')) for run in runs)
                file.write(f'{{"rule":"{rule.__name__.lower()}","gcDepth":{gc},"runs":[\n{lines}\n]}}\n')
            commits = sum(len(e[5]) for run in runs for e in run['events'])
            print(f'{name}: {len(runs)} DAGs, {sum(len(r["events"]) for r in runs)} events, {commits} commits')
