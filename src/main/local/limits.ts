/** Limits of a committee on one machine, each with its unit and its reason. */
import assert from 'node:assert'
import { defaultParameters } from '../../shared/config/parameters.js'
import { CLIENT_STOP_GRACE_MS } from './load/limits.js'

/** Workers that one machine is asked to run: each takes 100 MB and some, and has a client beside it. */
export const LOCAL_WORKERS_MAX = 128
/** All nodes have to be up and connected within this: a node boots in a second, on a busy machine in ten. */
export const LOCAL_BOOT_DEADLINE_MS = 60_000
/** After the clients have stopped, what is in flight has this long to be certified. */
export const LOCAL_DRAIN_DEADLINE_MS = 10_000
/** The same after Ctrl-C, when somebody is waiting for the prompt. */
export const LOCAL_INTERRUPTED_DRAIN_DEADLINE_MS = 2_000
/** A process that was told to stop has this long before it is killed. */
export const LOCAL_STOP_DEADLINE_MS = 15_000
/** When a process fails because another died, the other's end is seen within this. */
export const LOCAL_BLAME_MS = 300
/** `retention_rounds` of a local committee: the least that there may be. A loaded committee writes gigabytes a minute. */
export const LOCAL_RETENTION_ROUNDS = 2 * defaultParameters().gcDepthRounds
/** A node answers for its metrics within this, or the scrape is given up until the next one. */
export const LOCAL_SCRAPE_DEADLINE_MS = 5_000
/** The same for a look of the live view, in ms: nodes that stand still must not keep it from saying so. */
export const LOCAL_LOOK_DEADLINE_MS = 700
/** Where the live view goes to no terminal, it is drawn before its time when a stall begins or ends: how often it looks, in ms. */
export const LOCAL_STALL_LOOK_MS = 1_000
/** A process's log starts anew at this size and the old one is kept once, so that a long run does not fill the disk. */
export const LOCAL_LOG_BYTES_MAX = 32 * 1024 * 1024
/** Lines of a process's log that are shown when it dies. */
export const LOCAL_LOG_TAIL_LINES = 15
/** Batches remembered that are in some log, for lines about them that come from authorities that lag. */
export const LOCAL_BATCHES_REMEMBERED = 16_384
/** Sample transactions of which something may still be heard: twenty a second of each client. */
export const LOCAL_SAMPLES_REMEMBERED = 65_536
/** Commits that some have read and some have not, and that are to be compared: hours of a committee of four. */
export const LOCAL_COMMITS_APART_MAX = 262_144

assert(CLIENT_STOP_GRACE_MS < LOCAL_STOP_DEADLINE_MS)
