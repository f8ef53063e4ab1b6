/** How the command line is called from where this process was started: for lines that say what to do next. */
import { realpathSync } from 'node:fs'
import { basename, isAbsolute, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const EXECUTABLE = fileURLToPath(new URL('../../node.js', import.meta.url))

/** @param script the file that Node was started with, `process.argv[1]` */
export function commandName(script: string = process.argv[1] ?? '', directory = workingDirectory()): string {
  const isInstalled = script.split(sep).includes('node_modules')
  if (basename(script) === 'narval') return isInstalled ? 'npx narval' : 'narval'
  // Another program, which has narval as a library; or the executable itself, in a package that it was installed with.
  if (isInstalled || realPath(script) !== EXECUTABLE) return 'npx narval'
  const path = directory === undefined ? script : relative(directory, script)
  return `node ${shellWord(path.startsWith('..') || isAbsolute(path) ? script : path)}`
}

/** A path as a shell takes it for one word: quoted if it has a space, or anything else that a shell reads otherwise. */
export function shellWord(path: string): string {
  return /^[\p{L}\p{N}_./@%+=:,-]+$/u.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

/** Undefined where it was removed. */
function workingDirectory(): string | undefined {
  try {
    return process.cwd()
  } catch {
    return undefined
  }
}

/** Node names the file that it runs as it was called: by a link, or without its extension. */
function realPath(script: string): string {
  for (const path of [script, `${script}.js`]) {
    try {
      return realpathSync(path)
    } catch {
      // The next one, or none.
    }
  }
  return script
}
