/**
 * What the names in addresses stand for now. A container that restarts has another address behind the same name, so a name
 * is asked about again at each attempt to dial it, whenever its address matters and may have changed, and now and then.
 *
 * The system's resolver answers (`getaddrinfo`), since only it knows what this machine calls names: `/etc/hosts`, search
 * domains, the resolver of a container network. It may hang, and cannot be interrupted. So few questions are open at a
 * time, nobody waits for an answer for long, and the last good answer holds until there is a better one.
 *
 * ```
 *  resolve ──▶ waiting, each name once ──▶ asked: NAME_LOOKUPS_MAX at a time ──▶ addresses, onChange
 *                 quick names first           slow names: NAME_SLOW_LOOKUPS_MAX of these      ▲
 *                                               └─ no answer after NAME_SLOW_MS ──▶ hanging: NAME_HANGING_MAX
 * ```
 *
 * A question without an answer gives its place to the next one. So names that hang delay the names behind them by a
 * moment, also at the start, when nothing is known of any of them.
 *
 * The names are those of the configuration, so there are as many entries as that has names.
 */
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, isIPv4, type LookupFunction } from 'node:net'
import type { Logger } from '../lib/log.js'
import { type Supervisor, unsupervised } from '../lib/supervisor.js'
import {
  NAME_ADDRESSES_MAX,
  NAME_FRESH_MS,
  NAME_HANGING_MAX,
  NAME_LINE_MS,
  NAME_LOG_MS,
  NAME_LOOKUPS_MAX,
  NAME_REFRESH_MS,
  NAME_SLOW_LOOKUPS_MAX,
  NAME_SLOW_MS,
  NAME_WAIT_MS,
} from './limits.js'

/** All addresses of a name. Rejects with an error that has a `code`, as `ENOTFOUND` or `EAI_AGAIN`. */
export type Lookup = (name: string) => Promise<readonly string[]>

export interface HostNamesDependencies {
  /** Told of names that do not resolve, and of those whose addresses have changed. */
  readonly log?: Logger
  /** The system's resolver if not given. */
  readonly lookup?: Lookup
  /** A clock that does not go back; `performance.now` if not given. */
  readonly nowMs?: () => number
  /** Takes what timers throw, and the failure of what nobody waits for. */
  readonly supervisor?: Supervisor
}

/** A question about a name. */
interface Question {
  readonly entry: Entry
  readonly begin: () => void
  /** What it counts as while the resolver has it: it has a place, of quick or of slow names, or it hangs. */
  counts: 'quick' | 'slow' | 'hanging'
  /** It has had no answer for NAME_SLOW_MS. */
  isOverdue: boolean
}

interface Entry {
  readonly name: string
  /** Of the last good answer. */
  addresses: readonly string[]
  /** Those that the log named last, or that the name had first. */
  saidAddresses: readonly string[]
  /** Why the last question failed: a code. */
  failure: string | undefined
  answeredMs: number
  isSlow: boolean
  /** The question that waits or is asked. Never rejects. */
  asking: Promise<void> | undefined
  readonly listeners: Set<() => void>
  /** When its last line was logged, and when the failure that lasts was. */
  saidMs: number
  failureSaidMs: number | undefined
}

/** There is such a resolver, and it knows no such name: the last good answer is not true any more. */
const GONE = new Set(['ENOTFOUND', 'ENODATA'])

export class HostNames {
  private readonly log: Logger | undefined
  private readonly lookupAll: Lookup
  private readonly nowMs: () => number
  private readonly supervisor: Supervisor
  private readonly entries = new Map<string, Entry>()
  /** Questions that wait for their turn, each name once. */
  private readonly waiting: Question[] = []
  /** Questions that the resolver has: at most NAME_LOOKUPS_MAX in a place, and NAME_HANGING_MAX that hang. */
  private readonly asked = new Set<Question>()
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(dependencies: HostNamesDependencies = {}) {
    this.log = dependencies.log
    this.lookupAll = dependencies.lookup ?? askSystem
    this.nowMs = dependencies.nowMs ?? (() => performance.now())
    this.supervisor = dependencies.supervisor ?? unsupervised
  }

  /** The addresses of a host now, or those of the last good answer if there is none in time. Never rejects. */
  async resolve(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0 || this.closed) return this.known(host)
    const entry = this.entryOf(host)
    if (this.nowMs() - entry.answeredMs < NAME_FRESH_MS) return entry.addresses
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      const onLate = this.supervisor.guard('the resolution of a name', () => {
        this.sayFailure(entry, `no answer in ${NAME_WAIT_MS} ms`)
        resolve()
      })
      timer = setTimeout(onLate, NAME_WAIT_MS)
      timer.unref()
    })
    await Promise.race([this.ask(entry), late])
    clearTimeout(timer)
    return entry.addresses
  }

  /** The addresses of the last good answer, without a question; those to dial. */
  known(host: string): readonly string[] {
    return isIP(host) !== 0 ? [host] : (this.entries.get(host)?.addresses ?? [])
  }

  /** The same, and none once the resolver says that there is no such name: those to trust. */
  trusted(host: string): readonly string[] {
    const failure = this.entries.get(host)?.failure
    return failure !== undefined && GONE.has(failure) ? [] : this.known(host)
  }

  /** Why a name has no address: the code of the last failure. */
  failureOf(host: string): string {
    return this.entries.get(host)?.failure ?? `no answer in ${NAME_WAIT_MS} ms`
  }

  /** Asks about these names from now on, now and then; `onChange` is called when what is to be trusted has changed. */
  watch(hosts: Iterable<string>, onChange: () => void): void {
    for (const host of hosts) {
      if (isIP(host) !== 0 || this.closed) continue
      const entry = this.entryOf(host)
      entry.listeners.add(onChange)
      this.ask(entry)
      const refresh = this.supervisor.guard('the resolution of names', () => this.refresh())
      this.timer ??= setInterval(refresh, NAME_REFRESH_MS)
    }
  }

  /** For `net.connect`, which tries each address. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    const resolved = this.resolve(host).then((addresses) => {
      const family = Number(String(options.family ?? 0).replace('IPv', ''))
      const found = addresses
        .map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }))
        .filter((one) => family === 0 || one.family === family)
      const [first] = found
      if (first === undefined) {
        const error = Object.assign(new Error(`the name ${host} does not resolve: ${this.failureOf(host)}`), {
          code: this.failureOf(host),
          syscall: 'getaddrinfo',
        })
        callback(error, options.all ? [] : '', 0)
      } else if (options.all) callback(null, found)
      else callback(null, first.address, first.family)
    })
    this.supervisor.watch('the resolution of a name', resolved)
  }

  /** Nobody is told of anything any more. What the resolver was asked it may go on with. */
  close(): void {
    this.closed = true
    clearInterval(this.timer)
    for (const { begin } of this.waiting.splice(0)) begin()
  }

  private entryOf(name: string): Entry {
    let entry = this.entries.get(name)
    if (entry === undefined) {
      entry = {
        name,
        addresses: [],
        saidAddresses: [],
        failure: undefined,
        answeredMs: Number.NEGATIVE_INFINITY,
        isSlow: false,
        asking: undefined,
        listeners: new Set(),
        saidMs: Number.NEGATIVE_INFINITY,
        failureSaidMs: undefined,
      }
      this.entries.set(name, entry)
    }
    return entry
  }

  private refresh(): void {
    for (const entry of this.entries.values()) {
      if (entry.listeners.size > 0 && this.nowMs() - entry.answeredMs >= NAME_REFRESH_MS / 2) this.ask(entry)
    }
  }

  /** Resolves when the name has been asked about. One question about a name is open at a time. */
  private ask(entry: Entry): Promise<void> {
    if (entry.asking === undefined) {
      entry.asking = this.askInTurn(entry)
      this.supervisor.watch('the resolution of a name', entry.asking)
    }
    return entry.asking
  }

  private async askInTurn(entry: Entry): Promise<void> {
    const question = await new Promise<Question>((resolve) => {
      const question: Question = { entry, begin: () => resolve(question), counts: 'quick', isOverdue: false }
      this.waiting.push(question)
      this.next()
    })
    if (this.closed) return
    const beganMs = this.nowMs()
    const onSlow = this.supervisor.guard('the resolution of a name', () => {
      // What is asked from now on goes before it.
      entry.isSlow = true
      question.isOverdue = true
      this.next()
    })
    const timer = setTimeout(onSlow, NAME_SLOW_MS)
    timer.unref()
    const answer = await this.lookupAll(entry.name).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
    clearTimeout(timer)
    entry.answeredMs = this.nowMs()
    entry.isSlow = entry.answeredMs - beganMs >= NAME_SLOW_MS
    entry.asking = undefined
    this.asked.delete(question)
    this.next()
    this.take(entry, answer)
  }

  /** Begins the questions for which there is room, those about quick names first. */
  private next(): void {
    this.freePlaces()
    while (this.count('quick') + this.count('slow') < NAME_LOOKUPS_MAX) {
      const quick = this.waiting.findIndex(({ entry }) => !entry.isSlow)
      const index = quick === -1 && this.count('slow') < NAME_SLOW_LOOKUPS_MAX ? 0 : quick
      const [next] = index === -1 ? [] : this.waiting.splice(index, 1)
      if (next === undefined) return
      next.counts = next.entry.isSlow ? 'slow' : 'quick'
      this.asked.add(next)
      next.begin()
    }
  }

  /** Questions that are overdue hold no place, as long as not too many hang. */
  private freePlaces(): void {
    for (const question of this.asked) {
      if (question.isOverdue && this.count('hanging') < NAME_HANGING_MAX) question.counts = 'hanging'
    }
  }

  private count(counts: Question['counts']): number {
    let count = 0
    for (const question of this.asked) if (question.counts === counts) count += 1
    return count
  }

  /** @param answer addresses, or the code of a failure */
  private take(entry: Entry, answer: readonly string[] | string): void {
    const trusted = this.trusted(entry.name)
    const found = typeof answer === 'string' ? [] : answer.filter((address) => isIP(address) !== 0)
    if (found.length === 0) {
      entry.failure = typeof answer === 'string' ? answer : 'ENODATA'
      this.sayFailure(entry, entry.failure)
    } else {
      entry.failure = undefined
      entry.addresses = [...new Set(found)].slice(0, NAME_ADDRESSES_MAX)
      this.sayChange(entry)
    }
    if (this.closed || isSame(trusted, this.trusted(entry.name))) return
    for (const onChange of entry.listeners) onChange()
  }

  private sayFailure(entry: Entry, why: string): void {
    const nowMs = this.nowMs()
    if (entry.failureSaidMs !== undefined && nowMs - entry.failureSaidMs < NAME_LOG_MS) return
    const last = entry.addresses.length > 0 ? `; until then it is ${entry.addresses.join(', ')}` : ''
    const text = `The name ${entry.name} does not resolve (${why}): it is asked about again${last}`
    if (this.say(entry, 'warn', text)) entry.failureSaidMs = nowMs
  }

  private sayChange(entry: Entry): void {
    const { addresses, failureSaidMs, name, saidAddresses } = entry
    if (isSame(saidAddresses, addresses)) {
      entry.failureSaidMs = undefined
      return
    }
    const isNew = saidAddresses.length === 0 && failureSaidMs === undefined
    const was = saidAddresses.length > 0 ? `; it was ${saidAddresses.join(', ')}` : ''
    const isSaid = isNew || this.say(entry, 'info', `The name ${name} is now ${addresses.join(', ')}${was}`)
    if (!isSaid) return
    entry.saidAddresses = addresses
    entry.failureSaidMs = undefined
  }

  /** Whether it was logged: a name that comes and goes has a line now and then. */
  private say(entry: Entry, level: 'warn' | 'info', text: string): boolean {
    const nowMs = this.nowMs()
    if (this.closed || nowMs - entry.saidMs < NAME_LINE_MS) return false
    entry.saidMs = nowMs
    this.log?.[level](text)
    return true
  }
}

async function askSystem(name: string): Promise<readonly string[]> {
  const found = await systemLookup(name, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((address) => others.includes(address))
}
