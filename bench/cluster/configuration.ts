/** Which committees are measured. */
import type { AckLevel } from '../floor/options.js'

export interface Configuration {
  /** Authorities, one worker each. */
  readonly nodes: number
  readonly transactionBytes: number
  readonly ackLevel: AckLevel
}

export interface Choices {
  readonly nodes: readonly number[]
  readonly sizes: readonly number[]
  readonly levels: readonly AckLevel[]
}

const BASE_NODES = 4
const BASE_BYTES = 512

/** What sizes are compared at, and committee sizes: 4 nodes and 512 B where they are among the choices. */
export function baseOf(choices: Choices): Pick<Configuration, 'nodes' | 'transactionBytes'> {
  return {
    nodes: choices.nodes.includes(BASE_NODES) ? BASE_NODES : choices.nodes[0]!,
    transactionBytes: choices.sizes.includes(BASE_BYTES) ? BASE_BYTES : choices.sizes[0]!,
  }
}

/** One thing is varied at a time: every size at the base's nodes, every number of nodes at the base's size, each level. */
export function configurationsOf(choices: Choices): Configuration[] {
  const base = baseOf(choices)
  return choices.levels.flatMap((ackLevel) => [
    { ...base, ackLevel },
    ...choices.sizes
      .filter((transactionBytes) => transactionBytes !== base.transactionBytes)
      .map((transactionBytes) => ({ ...base, transactionBytes, ackLevel })),
    ...choices.nodes.filter((nodes) => nodes !== base.nodes).map((nodes) => ({ ...base, nodes, ackLevel })),
  ])
}

/** `stored, 4 × 512 B` */
export function nameOf({ nodes, transactionBytes, ackLevel }: Configuration): string {
  return `${ackLevel}, ${nodes} × ${transactionBytes} B`
}
