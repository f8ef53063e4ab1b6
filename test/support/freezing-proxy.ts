/** A TCP proxy whose connections can freeze: what is sent into them is lost, and nobody is told, as with a dead host. */
import { connect, createServer, type Socket } from 'node:net'

export interface FreezingProxy {
  readonly port: number
  /** Sockets of the proxy that nobody has closed: two for each connection through it. */
  readonly open: number
  /** Connections so far are dead from now on; new ones are refused. */
  freeze(): void
  close(): Promise<void>
}

export async function startFreezingProxy(target: number, port = 0): Promise<FreezingProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()))
  return {
    port: (server.address() as { port: number }).port,
    get open() {
      return sockets.size
    },
    freeze: () => {
      server.close()
      for (const socket of sockets) {
        socket.removeAllListeners('close')
        socket.on('close', () => sockets.delete(socket))
        socket.unpipe()
        socket.resume()
      }
    },
    close: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
