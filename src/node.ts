#!/usr/bin/env node
// Whatever is loaded before this decision stays in memory beside a node that runs in a child.
import { flagsToAdd, relaunch } from './main/cli/relaunch.js'
import { refusedHere } from './shared/runtime/platform.js'

const args = process.argv.slice(2)
const refused = refusedHere()
const flags = flagsToAdd(args)
if (refused !== undefined) {
  process.stderr.write(`narval: ${refused}\n`)
  process.exitCode = 1
} else if (flags.length > 0) relaunch(flags)
else {
  const { main } = await import('./main/cli/program.js')
  await main(args)
}
