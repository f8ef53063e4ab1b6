/**
 * Whether LMDB can work on a file system. Where files cannot be mapped shared (9p, shared folders of a virtual machine),
 * LMDB does not fail: it ends the process. So on a file system that is not known to be good, a process of its own tries.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NarvalError } from '../errors.js'

/** Longer than any disk takes for a few pages. */
const TRIAL_MS = 60_000
const TRIAL_FILE = fileURLToPath(new URL('./file-system-trial.js', import.meta.url))

/** Types of file systems, as Linux names them in `statfs`, on which LMDB works: ext, XFS, Btrfs, tmpfs, overlay, ZFS, F2FS. */
const GOOD_TYPES = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010])

/** @throws NarvalError ERR_STORE_WRITE if LMDB cannot have its files in this directory */
export function checkFileSystem(directory: string): void {
  if (process.platform === 'linux' && GOOD_TYPES.has(statfsSync(directory).type)) return
  const trial = mkdtempSync(join(directory, 'narval-trial-'))
  const { error, signal, status, stderr } = spawnSync(process.execPath, [TRIAL_FILE, trial], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: TRIAL_MS,
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
  })
  rmSync(trial, { recursive: true, force: true })
  const isLate = (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT'
  // Where nothing can be tried, nothing is known against it.
  if (status === 0 || (error !== undefined && !isLate)) return
  const lines = stderr.trim().split('\n')
  const said = lines.find((line) => /error/i.test(line)) ?? lines.at(-1)
  const why = isLate ? `no end after ${TRIAL_MS} ms` : (signal ?? said)
  throw new NarvalError(
    'ERR_STORE_WRITE',
    `the file system of ${directory} cannot hold a store, since LMDB maps and locks its files there, and fails (${why}): give --store a directory on a local disk`,
  )
}
