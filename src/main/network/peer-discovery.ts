/**
 * Modules of libp2p peer discovery, as `mdns()` of `@libp2p/mdns` makes one: libp2p calls each with its components. The
 * type names nothing of libp2p's, whose own types need those of a browser.
 */
export type PeerDiscovery = readonly ((components: never) => unknown)[]
