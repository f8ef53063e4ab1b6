/**
 * Which stage of the data path a function works for.
 *
 * The rules go from a frame to its callers: the nearest one that a rule names decides. So a hash below the processor is
 * the digest's, a socket's write below yamux is the socket's, and a `Buffer.concat` is whoever's that called it.
 */
import { type CallFrame, type Frame, OUTSIDE } from './frames.js'

/** In the order of a batch's way through a node. */
export const STAGES = {
  ingress: 'client ingress: scan frames, copy to the slot',
  sealing: 'sealing',
  dissemination: 'dissemination: holders, queues, senders',
  cipher: 'noise: cipher and its framing',
  streams: 'yamux and libp2p streams',
  sockets: 'sockets: writes, reads, Node’s streams',
  inbound: 'inbound: frames to slots, ACKs back',
  digest: 'check and digest',
  store: 'LMDB put and read, JavaScript’s side',
  tally: 'quorum tally',
  rings: 'rings and doorbells between threads',
  primary: 'primary link',
  order: 'primary: headers, votes, certificates, consensus, its store',
  reader: 'reading of what is ordered',
  sync: 'batch requests',
  observing: 'metrics and log',
  gc: 'garbage collection, on the thread itself',
  loop: 'event loop, timers, promises',
  outside: 'native code outside JavaScript',
  other: 'other JavaScript',
  unsampled: 'threads without a sample',
  'libuv-pool': 'LMDB’s writes and flushes, in libuv’s pool',
  'v8-platform': 'V8’s own threads: collectors’ helpers, compiler',
  'native-rest': 'other native threads',
} as const

export type Stage = keyof typeof STAGES

interface Rule {
  readonly stage: Stage
  readonly module: RegExp
  /** Names of functions; without it all of the module. */
  readonly name?: RegExp
}

const RULES: readonly Rule[] = [
  { stage: 'sealing', module: /^narval\/threads\/batch-maker\/batch-maker\.js/, name: /^(seal|open|sealByDelay)$/ },
  { stage: 'sealing', module: /^narval\/shared\/wire\/batch\.js/, name: /^writeBatchHeader$/ },
  { stage: 'sealing', module: /^narval\/main\/worker\/sealing-gate/ },
  { stage: 'ingress', module: /^narval\/(threads\/batch-maker|main\/worker\/submit-queue|shared\/memory\/byte-ring)/ },
  { stage: 'dissemination', module: /^narval\/main\/(worker\/dissemination\/|network\/router)/ },
  { stage: 'cipher', module: /^npm\/(@chainsafe\/libp2p-noise|@chainsafe\/as-chacha20poly1305|@noble\/ciphers)\// },
  { stage: 'cipher', module: /^(node\/internal\/crypto\/cipher|narval\/main\/network\/libp2p-node)/ },
  { stage: 'inbound', module: /^narval\/main\/(worker\/inbound\/|network\/frame-stream)/ },
  { stage: 'streams', module: /^(npm\/(@chainsafe\/libp2p-yamux|@libp2p\/|libp2p\/)|narval\/main\/network\/)/ },
  { stage: 'sockets', module: /^node\/(net$|internal\/(stream_base_commons|streams\/|net$))/ },
  {
    stage: 'digest',
    module: /^(narval\/shared\/wire\/digest\.js|npm\/@chainsafe\/as-sha256\/|node\/internal\/crypto\/hash)/,
  },
  { stage: 'digest', module: /^narval\/shared\/wire\/batch\.js/, name: /^(check|header|bodyBytes)/ },
  { stage: 'order', module: /^narval\/(threads\/primary\/|main\/primary\/|shared\/(wire|store)\/primary\/)/ },
  { stage: 'reader', module: /^narval\/main\/(authority\/|local\/load\/consumer)/ },
  { stage: 'store', module: /^npm\/(lmdb|msgpackr|ordered-binary|weak-lru-cache)\// },
  { stage: 'store', module: /^narval\/(threads\/processor\/(store|owned-buffers|control)|shared\/store\/)/ },
  { stage: 'observing', module: /^narval\/threads\/processor\/processor\.js/, name: /^logBatch$/ },
  { stage: 'observing', module: /^narval\/(main\/(metrics\/|http\/|lib\/log)|shared\/runtime\/thread-stats)/ },
  { stage: 'observing', module: /^(npm\/(prom-client|pino|tdigest)\/|node\/(_http|internal\/(histogram|perf\/)))/ },
  { stage: 'tally', module: /^narval\/threads\/quorum-waiter\// },
  { stage: 'rings', module: /^narval\/shared\/memory\/(doorbell\.js|ring\.js|dialogue\/)/ },
  {
    stage: 'primary',
    module: /^narval\/(main\/worker\/primary-link\/|shared\/wire\/(primary-messages|bincode|reference-frame))/,
  },
  { stage: 'sync', module: /^narval\/main\/worker\/sync\// },
  { stage: 'gc', module: /^narval\/main\/lib\/gc-relief/ },
  // What is left of main and the threads calls the stages; a helper in shared is its caller's.
  { stage: 'other', module: /^narval\/(main|threads)\// },
]

/** The stage that a frame decides for itself and for what it calls, or undefined where its caller decides. */
export function stageOfFrame({ name, module, kind }: Frame): Stage | undefined {
  if (kind === 'gc') return 'gc'
  if (module === '') return undefined
  return RULES.find((rule) => rule.module.test(module) && (rule.name === undefined || rule.name.test(name)))?.stage
}

/**
 * The stage of a frame when neither it nor any caller of it has decided.
 *
 * @param isBelowNode whether a function of Node's called it, at whatever distance
 */
export function stageWithoutRule({ name, kind }: Frame, isBelowNode: boolean): Stage {
  if (name === OUTSIDE) return 'outside'
  return kind === 'node' || (kind === 'native' && isBelowNode) ? 'loop' : 'other'
}

/** The functions in which the one thread that blocks waits: V8 shows `Atomics.wait` as part of whoever calls it, inlined. */
const WAITS = [/\/shared\/memory\/doorbell\.js serveBlocking$/, /\/threads\/quorum-waiter\/thread\.js run$/]

/** Whether a sample in this very frame, and not in what it called, found the thread asleep. */
export function isAsleep({ functionName, url }: CallFrame): boolean {
  return functionName === '(idle)' || WAITS.some((wait) => wait.test(`${url} ${functionName}`))
}
