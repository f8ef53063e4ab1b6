import type { Libp2p } from '@libp2p/interface'
import type { TcpAddress } from '../../shared/config/address.js'
import { listenError } from '../../shared/errors.js'

/**
 * Starts a node that listens. libp2p puts the system's error in its message, with a stack: of that an error is made that says
 * what to do, as of any other listener (`listenError`).
 */
export async function startListening(node: Libp2p, what: string, listen: TcpAddress, remedy?: string): Promise<void> {
  try {
    await node.start()
  } catch (error) {
    const { message } = error as Error
    const [code] = /\bE[A-Z]{4,}\b/.exec(message) ?? []
    const [, reason] = /: Error: (.*)/.exec(message) ?? []
    throw listenError(Object.assign(new Error(reason ?? message), { code }), what, listen, remedy)
  }
}
