/** The record of a flush that failed, where it is hard to write. The copy itself: test/committee/flush-failure.test.ts. */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { copyAfterFlushFailure, FLUSH_FAILURE_FILE } from '../../../src/shared/store/flush-failure.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const MODULE = new URL('../../../dist/shared/store/flush-failure.js', import.meta.url).href

/** Records a failure where all descriptors are taken. */
const SCRIPT = `
import { openSync } from 'node:fs'
import { recordFlushFailure } from '${MODULE}'
try { for (;;) openSync('/dev/null', 'r') } catch (error) { if (error.code !== 'EMFILE') throw error }
recordFlushFailure(process.argv[1], 'the disk is broken')
`

it.runIf(process.platform === 'linux')('is made without a descriptor left, and the next start copies the store', () => {
  const directory = temporaryDirectory()
  const { status, stderr } = spawnSync(
    '/bin/sh',
    ['-c', 'ulimit -n 512 && exec "$0" "$@"', process.execPath, '--input-type=module', '-e', SCRIPT, directory],
    { encoding: 'utf8' },
  )
  expect([status, stderr]).toEqual([0, ''])
  expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(true)
  // Without a store there is nothing to copy: the record goes.
  copyAfterFlushFailure(directory, () => {})
  expect(existsSync(join(directory, FLUSH_FAILURE_FILE))).toBe(false)
})

it('names the reason where a file can be made', async () => {
  const { recordFlushFailure } = await import(MODULE)
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'data.mdb'), 'x')
  recordFlushFailure(directory, 'the disk is broken')
  expect(statSync(join(directory, FLUSH_FAILURE_FILE)).size).toBe('the disk is broken\n'.length)
})
