/**
 * The floor: what no implementation could do without, for the same bytes, with the same libraries and none of the product's
 * stages. A transaction's bytes are read from the client and copied once, enciphered and written for each peer, read and
 * deciphered there and copied once, hashed and stored by everybody: from where they lie into segments past the page cache,
 * with an index in LMDB, and flushed by the product's rules.
 *
 * With `--libp2p` the floor of the network alone: the same batches over bare libp2p streams, without clients, hashes and
 * stores. It is no upper layer of the plain floor, which has those: each is a part of what the product does.
 *
 * Latency here is from a batch's first byte at its author to its quorum, not from a client's transaction as in `local`.
 */
import { Option } from 'commander'
import { integer } from '../src/main/cli/values.js'
import { type FloorOptions, RETAIN_S, retainBytesFor } from './floor/options.js'
import type { FloorResult } from './floor/result.js'
import { runFloor } from './floor/run.js'
import { main } from './lib/command.js'
import { environment, environmentLines } from './lib/environment.js'
import { drawTable } from './lib/table.js'

interface Flags {
  readonly nodes: number
  readonly rate: number
  readonly size: number
  readonly ackLevel: 'stored' | 'durable'
  readonly duration: number
  readonly retain?: number
  readonly libp2p: boolean
  readonly json: boolean
}

function optionsOf(flags: Flags): FloorOptions {
  return {
    kind: flags.libp2p ? 'libp2p' : 'plain',
    nodes: flags.nodes,
    rate: flags.rate,
    transactionBytes: flags.size,
    ackLevel: flags.ackLevel,
    durationS: flags.duration,
    retainBytes: flags.retain ?? retainBytesFor(flags.rate, flags.size),
  }
}

function tableOf(result: FloorResult): string[] {
  const { certified, cpu } = result
  const perByte = (seconds: number): string => ((seconds * 1e9) / Math.max(1, certified.bytes)).toFixed(2)
  return drawTable(
    ['floor', 'tx/s', 'MB/s', 'p50 ms', 'p99 ms', 'ns/B', 'user', 'system', 'disk MB', 'run s'],
    [
      [
        result.kind,
        String(Math.round(certified.tps)),
        (certified.bps / 1e6).toFixed(1),
        String(certified.latency_ms.p50 ?? '-'),
        String(certified.latency_ms.p99 ?? '-'),
        String(cpu.ns_per_transaction_byte ?? '-'),
        perByte(cpu.user_s),
        perByte(cpu.system_s),
        result.disk_write_bytes === null ? '-' : (result.disk_write_bytes / 1e6).toFixed(0),
        String(result.elapsed_s),
      ],
    ],
  )
}

await main('floor', (program, stop) => {
  program
    .description('measure what any worker would cost, at least')
    .option('--nodes <n>', 'processes', integer(1, 64), 4)
    .option('--rate <n>', 'transactions a second, over all clients; 0 as fast as it goes', integer(0, 100_000_000), 0)
    .option('--size <n>', 'bytes of a transaction', integer(1, 400_000), 512)
    .addOption(
      new Option('--ack-level <level>', 'what an ACK waits for').choices(['stored', 'durable']).default('stored'),
    )
    .option('--duration <s>', 'seconds of load', integer(1, 3600), 10)
    .option('--retain <bytes>', `bytes that each store keeps (default: those of ${RETAIN_S} s)`, integer(1, 1e12))
    .option('--libp2p', 'the network alone, over libp2p streams', false)
    .option('--json', 'print one line of JSON', false)
    .action(async (flags: Flags) => {
      const result = await runFloor(optionsOf(flags), stop)
      const lines = flags.json ? [JSON.stringify(result)] : [...environmentLines(environment()), '', ...tableOf(result)]
      process.stdout.write(`${lines.join('\n')}\n`)
    })
})
