/** The protocols between workers, and between primaries, as multistream names them (docs/protocol.md). */
export const HELLO_PROTOCOL = '/narval/hello/1'
export const BATCH_PROTOCOL = '/narval/batch/1'
export const SYNC_PROTOCOL = '/narval/sync/1'
export const PRIMARY_PROTOCOL = '/narval/primary/1'
/** Between a worker and its own primary, on nodes of their own. */
export const LINK_PROTOCOL = '/narval/link/1'

/** What may be spoken once the hello is over. */
export type PeerProtocol = typeof BATCH_PROTOCOL | typeof SYNC_PROTOCOL | typeof PRIMARY_PROTOCOL
export const WORKER_PROTOCOLS: readonly PeerProtocol[] = [BATCH_PROTOCOL, SYNC_PROTOCOL]
export const PRIMARY_PROTOCOLS: readonly PeerProtocol[] = [PRIMARY_PROTOCOL]
