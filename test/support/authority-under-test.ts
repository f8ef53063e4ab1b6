/** Authorities in the test's own process, from dist/. Those that are left are closed when the test ends. */
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Authority, AuthorityOptions, CommitsOptions, Keys, Logger, OrderedCommit } from '../../src/index.js'
import { type Committee, parseCommittee } from '../../src/shared/config/committee.js'
import { localCommittee } from '../../src/shared/config/committee-file.js'
import { generateKeys } from '../../src/shared/config/keys.js'
import { freePorts } from './free-ports.js'
import { temporaryDirectory } from './temporary-directory.js'
import { fromDist } from './threads/main-side.js'

export const narval = await fromDist<typeof import('../../src/index.js')>('index.js')

export interface Member {
  readonly keys: Keys
  readonly committee: Committee
  readonly store: string
  /** The lines of its log. */
  readonly lines: string[]
}

/**
 * New authorities of one committee, in its order, each with a store that is marked fresh.
 *
 * @param stakes of each; 1 unless given
 */
export async function newMembers(count: number, workers = 1, stakes: readonly number[] = []): Promise<Member[]> {
  const keys = Array.from({ length: count }, generateKeys).sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
  const names = keys.map(({ name }) => name)
  const portFirst = await freePorts(count * (2 + 3 * workers))
  const file = localCommittee(names, workers, portFirst)
  const entries = names.map((name, index) => [name, { ...file.authorities[name]!, stake: stakes[index] ?? 1 }] as const)
  const committee = parseCommittee({ authorities: Object.fromEntries(entries) }, 'test')
  const directory = temporaryDirectory()
  return keys.map((own, index) => {
    const store = join(directory, `authority-${index}`)
    narval.markFresh(store, own)
    return { keys: own, committee, store, lines: [] }
  })
}

export function logOf({ lines }: Pick<Member, 'lines'>): Logger {
  const say = (level: string) => (text: string) => void lines.push(`${level} ${text}`)
  return { error: say('error'), warn: say('warn'), info: say('info'), debug() {}, trace() {} }
}

export function optionsOf(member: Member, more: Partial<AuthorityOptions> = {}): AuthorityOptions {
  const { committee, keys, store } = member
  const parameters = { maxBatchDelayMs: 5, syncRetryDelayMs: 500 }
  return { keys, committee, store, parameters, poisonFreedSlots: true, log: logOf(member), ...more }
}

export async function start(member: Member, more: Partial<AuthorityOptions> = {}): Promise<Authority> {
  const authority = await narval.startAuthority(optionsOf(member, more))
  onTestFinished(() => authority.close().catch(() => {}))
  return authority
}

/** Reads commits until so many transactions are there; those of a commit that was begun are all read. */
export async function read(
  authority: Authority,
  count: number,
  options: CommitsOptions = {},
): Promise<{ transactions: Uint8Array[]; commits: OrderedCommit[] }> {
  const transactions: Uint8Array[] = []
  const commits: OrderedCommit[] = []
  for await (const commit of authority.commits(options)) {
    commits.push(commit)
    for await (const batch of commit.batches()) transactions.push(...batch.transactions())
    if (transactions.length >= count) break
  }
  return { transactions, commits }
}
