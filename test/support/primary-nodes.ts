/** Real primaries of a committee of four in this process, each with its store, over libp2p on loopback. */
import { onTestFinished } from 'vitest'
import { GcRelief } from '../../src/main/lib/gc-relief.js'
import type { PrimaryNode, PrimaryNodeOptions } from '../../src/main/primary/primary-node.js'
import { type Committee, parseCommittee } from '../../src/shared/config/committee.js'
import { localCommittee } from '../../src/shared/config/committee-file.js'
import { keysOf } from '../../src/shared/config/keys.js'
import { writeFreshMarker } from '../../src/shared/store/primary/fresh-marker.js'
import { freePorts } from './free-ports.js'
import { temporaryDirectory } from './temporary-directory.js'
import { fromDist } from './threads/main-side.js'

/** In the order of the committee. */
export const ALL_KEYS = [1, 2, 3, 4]
  .map((byte) => keysOf(new Uint8Array(32).fill(byte)))
  .sort((a, b) => Buffer.compare(a.publicKey, b.publicKey))
export const AUTHORITIES = [0, 1, 2, 3]

export async function committeeOfFour(): Promise<Committee> {
  const names = ALL_KEYS.map(({ name }) => name)
  return parseCommittee(localCommittee(names, 1, await freePorts(20)), 'test')
}

export interface StartedPrimary {
  readonly node: PrimaryNode
  readonly lines: string[]
  /** Indices of the commits that it told of. */
  readonly committed: number[]
}

/** It is closed with the test, unless it was before. */
export async function startPrimary(
  committee: Committee,
  authority: number,
  directory: string,
  more: Partial<PrimaryNodeOptions> = {},
): Promise<StartedPrimary> {
  const { PrimaryNode: Node } =
    await fromDist<typeof import('../../src/main/primary/primary-node.js')>('main/primary/primary-node.js')
  const lines: string[] = []
  const committed: number[] = []
  const say = (level: string) => (text: string) => void lines.push(`${level} ${text}`)
  const node = new Node(
    {
      keys: ALL_KEYS[authority]!,
      committee,
      store: { directory },
      rule: 'shoal',
      gcDepth: 50,
      maxHeaderDelayMs: 100,
      bind: '127.0.0.1',
      gcRelief: new GcRelief(),
      log: { error: say('error'), warn: say('warn'), info: say('info'), debug() {}, trace() {} },
      ...more,
    },
    {
      onRequest: (request) => {
        if (request.type === 'committed') committed.push(...request.commits.map(({ index }) => index))
      },
      onNotice: () => {},
    },
  )
  onTestFinished(() => node.close().catch(() => {}))
  await node.start()
  return { node, lines, committed }
}

/** Of a store that is new, and says so. */
export function freshDirectory(authority: number): string {
  const directory = temporaryDirectory()
  writeFreshMarker(directory, ALL_KEYS[authority]!.name)
  return directory
}
