/**
 * A node of the plain floor, one process, one thread besides those that write to the disk:
 *
 * ```
 *  client ──▶ slot ──┬─▶ SHA-256, segment, LMDB ──▶ held by the author ──┐
 *                    └─▶ cipher ──▶ sockets of n − 1 peers               ├─▶ a quorum: certified
 *                                        ◀── one byte per stored batch ──┘
 *  peer's socket ──▶ decipher ──▶ slot ──▶ SHA-256, segment, LMDB ──▶ one byte back
 * ```
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Decipherer, Encipherer } from './cipher.js'
import { Dissemination } from './dissemination.js'
import { Ingress, READ_BYTES } from './ingress.js'
import { serve, usage } from './messages.js'
import { MinorGc } from './minor-gc.js'
import { IN_FLIGHT_MAX, type NodeOptions } from './options.js'
import { Slots } from './slots.js'
import { Store } from './store.js'

const ACK = Buffer.alloc(1)

const options = JSON.parse(process.argv[2]!) as NodeOptions
const gc = new MinorGc()
const store = new Store({ ...options, directory: options.store })
const ingress = new Ingress((bytes, beganMs) => {
  const batch = dissemination.begin(bytes, beganMs)
  store.put(
    bytes,
    () => dissemination.written(batch),
    () => dissemination.held(batch),
  )
})
const dissemination = new Dissemination(options.nodes, { onReleased: ({ bytes }) => ingress.release(bytes) })
const listener = createServer({ noDelay: true }, (socket) => sendTo(socket))

/** A peer that takes our batches. */
function sendTo(socket: Socket): void {
  const encipherer = new Encipherer()
  const onAck = dissemination.addPeer((bytes, onWritten) => {
    gc.traffic(bytes.length)
    // One system call for as much as the kernel takes.
    socket.cork()
    for (const piece of encipherer.batch(bytes)) socket.write(piece)
    socket.uncork()
    onWritten()
  })
  socket.on('data', (acks) => {
    for (let count = 0; count < acks.length; count++) onAck()
  })
  socket.on('error', () => {})
}

/** A peer whose batches we take. */
function takeFrom(port: number): Promise<void> {
  // A peer has no more batches under way, and a slot is free again before its batch is acknowledged.
  const slots = new Slots(IN_FLIGHT_MAX)
  let slot: Uint8Array
  let length = 0
  const decipherer = new Decipherer({
    onBegin: () => {
      slot = slots.take()!
      length = 0
    },
    onPlaintext: (bytes) => {
      slot.set(bytes, length)
      length += bytes.length
    },
    onEnd: () => {
      gc.traffic(length)
      const taken = slot
      store.put(
        taken.subarray(0, length),
        () => slots.release(taken),
        () => socket.write(ACK),
      )
    },
  })
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: Buffer.alloc(READ_BYTES),
      callback: (read, buffer) => {
        decipherer.push(buffer.subarray(0, read))
        return true
      },
    },
  })
  socket.on('error', () => {})
  return new Promise((resolve) => socket.once('connect', resolve))
}

serve({
  open: () =>
    new Promise((resolve) => {
      listener.listen(0, '127.0.0.1', () => resolve(String((listener.address() as AddressInfo).port)))
    }),
  connect: async ({ index, peers, client }) => {
    await Promise.all(peers.filter((_, peer) => peer !== index).map((port) => takeFrom(Number(port))))
    await ingress.connect(Number(client))
  },
  usage,
  progress: () => dissemination.progress(),
})
