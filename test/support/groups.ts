/**
 * Which test files run alone, one after the other, which run in pairs, and which run together.
 *
 * A file runs alone if it, or something of ours in test/ that it imports, names the executable, dist/node.js: it starts
 * whole nodes as processes, and two committees under load at once on two cores would only starve each other. One whose
 * nodes have little to do, and wait most of their time, says `Runs in pairs: `, and why. A file that loads the machine by
 * itself says `Runs alone: `, and why. All other files run together, some at a time: pure parts, and threads and workers
 * in the test's own process, which wait for timers most of their time.
 *
 * Nobody has to keep a list. `apart.ts` fails a file that starts a node all the same.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

export interface Groups {
  readonly alone: string[]
  readonly pairs: string[]
  readonly together: string[]
}

const IMPORT = /\b(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g
const EXECUTABLE = /dist\/node\.js['"`]/
const SAYS_ALONE = /^(?:\/\/|\/\*\*| \*) Runs alone: \S/m
const SAYS_PAIRS = /^(?:\/\/|\/\*\*| \*) Runs in pairs: \S/m

/** @param sources of the files below test/, by their paths from the project's directory */
export function groupsOf(sources: ReadonlyMap<string, string>): Groups {
  const starts = (path: string, seen: Set<string>): boolean => {
    const text = sources.get(path)
    if (text === undefined || seen.has(path)) return false
    seen.add(path)
    return EXECUTABLE.test(text) || importsOf(path, text).some((imported) => starts(imported, seen))
  }
  const tests = [...sources.keys()].filter((path) => path.endsWith('.test.ts')).sort()
  const groupOf = (path: string): keyof Groups => {
    const text = sources.get(path)!
    if (SAYS_ALONE.test(text)) return 'alone'
    if (!starts(path, new Set())) return 'together'
    return SAYS_PAIRS.test(text) ? 'pairs' : 'alone'
  }
  const groups: Groups = { alone: [], pairs: [], together: [] }
  for (const path of tests) groups[groupOf(path)].push(path)
  return groups
}

/** A module is imported by the name that it is compiled to. */
function importsOf(path: string, text: string): string[] {
  return Array.from(text.matchAll(IMPORT), ([, name]) => normalize(join(dirname(path), name!)).replace(/\.js$/, '.ts'))
}

/** The groups of the test files in a project's directory. */
export function readGroups(root: string): Groups {
  const paths = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.m?ts$|\.mjs$/.test(name))
    .map((name) => join('test', name))
  return groupsOf(new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])))
}
