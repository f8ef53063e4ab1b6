/** What is tried: each attack at its rate, and what the committee must be for it. */
import type { Parameters } from '../../src/shared/config/parameters.js'
import type { Attack } from './protocol.js'

export interface Scenario {
  /** What `--only` names. */
  readonly letter: string
  readonly attack: Attack
  readonly what: string
  /** Units a second, and what they are. */
  readonly rate: number
  readonly unit: string
  /** The attacker is the fifth authority, whose worker it is. */
  readonly isMember: boolean
  /** A peer is restarted in each phase, and the time measured until it is back. */
  readonly restarts?: boolean
  /** Full batches that the victim has stored before. */
  readonly fullBatches?: number
  /** Honest clients beside those of the load. */
  readonly honestClients?: number
  /** Transactions a second in all, if not those of the command line. */
  readonly loadRate?: number
  readonly parameters?: Partial<Parameters>
}

export const SCENARIOS: readonly Scenario[] = [
  {
    letter: 'a',
    attack: 'pings',
    what: 'yamux pings from a stranger, which comes back whenever it is closed',
    rate: 20_000,
    unit: 'pings',
    isMember: false,
  },
  {
    letter: 'b',
    attack: 'proposals',
    what: 'multistream proposals without end from a stranger, which comes back',
    rate: 20_000,
    unit: 'proposals',
    isMember: false,
  },
  {
    letter: 'c',
    attack: 'unread-pongs',
    what: 'pings from a member that reads no pongs',
    rate: 50_000,
    unit: 'pings',
    isMember: true,
  },
  {
    letter: 'd',
    attack: 'flood',
    what: 'empty window updates from a member after its hello',
    rate: 50_000,
    unit: 'frames',
    isMember: true,
  },
  {
    letter: 'e',
    attack: 'synchronize',
    what: 'Synchronize of 100 digests from ten sources on the primary’s port, and 64 idle connections',
    rate: 50,
    unit: 'messages',
    isMember: false,
  },
  {
    letter: 'f',
    attack: 'tiny-batches',
    what: 'a member floods each store with the smallest batches',
    rate: 2_000,
    unit: 'batches to each worker',
    isMember: true,
    loadRate: 800,
    parameters: { storeBytesMax: 64 * 1024 * 1024, batchBytesMax: 50_000 },
  },
  {
    letter: 'g',
    attack: 'reset-requests',
    what: 'a member asks for 64 full batches and resets the stream in the middle of the reply',
    rate: 50,
    unit: 'requests of 2.2 kB',
    isMember: true,
    fullBatches: 64,
  },
  {
    letter: 'h',
    attack: 'clients',
    what: '248 half frames of one source, 1,024 mute connections of another; 20 honest clients of a third send',
    rate: 2_000,
    unit: 'connections or looks at them',
    isMember: false,
    honestClients: 20,
  },
  {
    letter: 'i',
    attack: 'strangers',
    what: 'silent connections; a peer is restarted meanwhile',
    rate: 500,
    unit: 'connections',
    isMember: false,
    restarts: true,
  },
  {
    letter: 'j',
    attack: 'stray-acks',
    what: 'ACKs of a member for batches that it was never sent',
    rate: 200_000,
    unit: 'ACKs',
    isMember: true,
  },
  {
    letter: 'k',
    attack: 'half-open-streams',
    what: 'streams of a member that are opened, greeted and left',
    rate: 2_000,
    unit: 'streams',
    isMember: true,
  },
  {
    letter: 'l',
    attack: 'reset-streams',
    what: 'batch streams of a member that are opened and reset at once',
    rate: 20_000,
    unit: 'streams',
    isMember: true,
  },
]
