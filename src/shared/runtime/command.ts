/** How the command line is called from where this process was started: for lines that say what to do next. */
import { basename, isAbsolute, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const EXECUTABLE = fileURLToPath(new URL('../../node.js', import.meta.url))

/** @param script the file that Node was started with, `process.argv[1]` */
export function commandName(script: string = process.argv[1] ?? '', directory: string = process.cwd()): string {
  const isInstalled = script.split(sep).includes('node_modules')
  if (basename(script) === 'narval') return isInstalled ? 'npx narval' : 'narval'
  // Another program, which has narval as a library; or the executable itself, in a package that it was installed with.
  if (script !== EXECUTABLE || isInstalled) return 'npx narval'
  const path = relative(directory, script)
  return `node ${path.startsWith('..') || isAbsolute(path) ? script : path}`
}
