/** A worker that has no file descriptor left, at each of its ports: it goes on, and serves again when there are some. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type TestNode, testCommittee, until } from '../support/committee.js'
import { openFilesLack } from '../support/open-files.js'

/** Files that it may open beside those that it has. */
const SPARE = 8
/** To each port in each round. */
const CONNECTIONS = 40
const PORTS = 4
const ROUNDS = 5

/** Whether a shell can do this: what is tried changes the shell alone, never this process. */
function mayRun(command: string): boolean {
  return spawnSync('sh', ['-c', command]).status === 0
}

function limitOpenFiles(pid: number, count: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`])
}

/** The port takes a connection and keeps it. */
async function serves(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  await sleep(200)
  const isOpen = socket.readyState === 'open'
  socket.destroy()
  return isOpen
}

async function certifies(node: TestNode): Promise<void> {
  const before = node.primary.own.size
  const client = await node.client()
  await client.send(1, 100)
  await until('it certifies', () => node.primary.own.size > before)
  await client.end()
}

test('a worker without a free descriptor goes on, whatever connects to any of its ports, and serves again', async (test) => {
  if (!mayRun('prlimit --pid $$ --nofile=64:')) return test.skip('where the limit of a process can be set from outside')
  // A socket that waits at a port is open here, whether it was accepted or not.
  const lack = openFilesLack(ROUNDS * CONNECTIONS * PORTS + 100)
  if (lack !== undefined) return test.skip(lack)
  const committee = await testCommittee({ nodes: 1 })
  const node = committee.node(0)
  await node.start()
  await certifies(node)
  const fds = readdirSync(`/proc/${node.pid}/fd`).map(Number)
  const limit = Math.max(...fds) + 1 + SPARE
  limitOpenFiles(node.pid!, limit)
  const ports = [node.transactionsPort, node.workerPort, node.primaryToWorkerPort, node.metricsPort]
  expect(ports).toHaveLength(PORTS)
  const sockets: Socket[] = []
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  // All at once, so that threads take the last descriptors from each other; and again, since each is closed at once.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let n = 0; n < CONNECTIONS; n += 1) {
      for (const port of ports) {
        const socket = connect({ host: '127.0.0.1', port })
        socket.on('error', () => {})
        sockets.push(socket)
      }
    }
    await sleep(100)
    expect(node.isRunning).toBe(true)
  }
  // Threads take it from each other; what is closed makes room for one moment.
  await until('it has no descriptor left', () => readdirSync(`/proc/${node.pid}/fd`).length >= limit - 1)
  expect(node.isRunning).toBe(true)
  for (const socket of sockets) socket.destroy()
  for (const port of ports) await until(`port ${port} serves again`, () => serves(port))
  await certifies(node)
  expect((await node.metrics()).size).toBeGreaterThan(0)
  expect(await node.stop()).toEqual({ code: 0, signal: null })
})

test('a worker that may have few files open says so at its start, in one line, with what to do', async (test) => {
  if (!mayRun('ulimit -n 1000')) return test.skip('where a shell can limit open files')
  const committee = await testCommittee({ nodes: 1 })
  const node = committee.node(0)
  node.openFilesMax = 1_000
  await node.start()
  const lines = node.log.split('\n').filter((line) => line.includes('files open'))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/WARN .*This process may have 1000 files open, and needs \d+ .*ulimit -n/)
})
