#!/usr/bin/env node
// libp2p calls Promise.withResolvers, which Node 20 lacks: before everything else.
import 'core-js/actual/promise/with-resolvers.js'
import { main } from './main/cli/program.js'

await main(process.argv.slice(2))
