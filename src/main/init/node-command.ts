/** How a node of the new committee is started, the same under systemd and in a container. Pure. */
import { v8FlagsFor } from '../../shared/runtime/v8-flags.js'

/** Where the files of an authority are, under systemd and in its container. */
export const CONFIG_DIRECTORY = '/etc/narval'
export const STORE_DIRECTORY = '/var/lib/narval'
export const INSTALL_DIRECTORY = '/opt/narval'

/** The version of Node in the container. Under systemd it is the machine's: one that has these flags, too. */
export const NODE_MAJOR = 24
/** For names that no server answers for: each holds a thread of libuv's pool for a while. */
export const THREADPOOL_SIZE = 16
/** Open files: more than clients, peers and strangers together may take. */
export const OPEN_FILES = 65_536
/** A node that closes in order takes a second or two: after this, in s, something is wrong. */
export const STOP_S = 30

export const V8_FLAGS = v8FlagsFor(`${NODE_MAJOR}.0.0`)

/** What comes behind `narval`, in the directory with the files. */
export function runArguments(metricsPort: number): readonly string[] {
  return [
    'run',
    '--keys',
    'keys.json',
    '--committee',
    'committee.json',
    '--parameters',
    'parameters.json',
    '--store',
    `${STORE_DIRECTORY}/db`,
    '--metrics',
    `127.0.0.1:${metricsPort}`,
    'authority',
  ]
}
