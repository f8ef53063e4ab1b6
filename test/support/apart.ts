/** Set-up of the files that run two at a time: none of them starts a whole node as a process (groups.ts). */
import type { ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { afterAll, expect } from 'vitest'

const children: ChildProcess[] = []
// What is started with shows only after the message.
subscribe('child_process', (message) => children.push((message as { process: ChildProcess }).process))

afterAll(() => {
  const nodes = children.filter(({ spawnargs }) => spawnargs?.some((argument) => argument.endsWith('dist/node.js')))
  expect(
    nodes.map(({ spawnargs }) => spawnargs.join(' ')),
    'a file that starts nodes runs alone: let it name dist/node.js, as test/support/groups.ts says',
  ).toEqual([])
})
