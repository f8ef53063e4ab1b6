#!/usr/bin/env node
// Whatever is loaded before this decision stays in memory beside a node that runs in a child.
import { EXIT_FAILURE } from './main/cli/exit-codes.js'
import { leave } from './main/cli/leave.js'
import { flagsToAdd, relaunch, runsNode } from './main/cli/relaunch.js'
import { watchSignals } from './main/lib/signals.js'
import { refusedHere } from './shared/runtime/platform.js'

const args = process.argv.slice(2)
const refused = refusedHere()
const flags = flagsToAdd(args)
if (refused !== undefined) {
  process.stderr.write(`narval: ${refused}\n`)
  process.exitCode = 1
} else if (flags.length > 0) relaunch(flags)
else {
  // It takes a while to load what follows. A signal that comes meanwhile ends the node in order, too.
  const early = runsNode(args) ? watchSignals(() => leave(EXIT_FAILURE)) : undefined
  const { main } = await import('./main/cli/program.js')
  await main(args, early)
}
