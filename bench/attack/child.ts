/**
 * The process of an attacker or a spinner: its own, so that what it costs is its own. It ends by itself when its time is
 * over, when it fails, and when the bench is gone.
 */
// libp2p needs it on Node 20.
import 'core-js/actual/promise/with-resolvers.js'
import { type Attacker, prepare } from './attacks.js'
import type { FromChild, Report, Task } from './protocol.js'
import { spinner } from './spinner.js'

/** Beyond its seconds: to connect, and to be told to begin. */
const SPARE_MS = 30_000

const task = JSON.parse(process.argv[2]!) as Task
setTimeout(() => process.exit(1), task.seconds * 1000 + SPARE_MS)
process.once('disconnect', () => process.exit(1))
const say = (message: FromChild): Promise<void> => new Promise((resolve) => process.send!(message, () => resolve()))
const attacker: Attacker = task.kind === 'spin' ? spinner(task) : await prepare(task)
await say({ type: 'ready' })
// What the victim closes from now on is what is measured; it must not end the attack.
process.on('uncaughtException', () => {})
process.on('unhandledRejection', () => {})
await new Promise((resolve) => process.once('message', resolve))

const [startMs, startCpu] = [performance.now(), process.cpuUsage()]
await attacker.run(startMs + task.seconds * 1000)
const { user, system } = process.cpuUsage(startCpu)
const report: Report = {
  cpuS: (user + system) / 1e6,
  elapsedS: (performance.now() - startMs) / 1000,
  done: attacker.done(),
  ended: attacker.ended(),
}
await say({ type: 'report', report })
process.exit(0)
