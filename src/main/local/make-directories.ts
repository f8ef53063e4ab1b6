/** Makes a directory and those above it that are missing. */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Node's own `recursive` never ends where a directory exists and nothing can be made in it for want of an entry: in /proc,
 * and in a working directory that was removed.
 *
 * @throws what the file system throws
 */
export function makeDirectories(directory: string): void {
  try {
    mkdirSync(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && statSync(directory).isDirectory()) return
    const above = dirname(directory)
    if (code !== 'ENOENT' || above === directory || existsSync(above)) throw error
    makeDirectories(above)
    mkdirSync(directory)
  }
}
