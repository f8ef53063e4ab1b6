/** The protocols between workers, as multistream names them (docs/protocol.md). */
export const HELLO_PROTOCOL = '/narval/hello/1'
export const BATCH_PROTOCOL = '/narval/batch/1'
export const SYNC_PROTOCOL = '/narval/sync/1'

/** What may be spoken once the hello is over. */
export type PeerProtocol = typeof BATCH_PROTOCOL | typeof SYNC_PROTOCOL
export const PEER_PROTOCOLS: readonly PeerProtocol[] = [BATCH_PROTOCOL, SYNC_PROTOCOL]
