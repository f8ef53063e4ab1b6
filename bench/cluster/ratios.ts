/** What the product costs, beside what nobody could do without. */
import type { Result } from '../../src/main/local/result.js'

/** CPU nanoseconds per certified transaction byte, over all nodes; null where nothing was certified. */
export interface Cost {
  readonly total: number | null
  readonly user: number | null
  readonly system: number | null
}

/** Quotients of costs; null where one of them is missing or nothing. */
export interface Ratios {
  readonly product_to_floor: number | null
  readonly product_to_floor_user: number | null
  readonly product_to_floor_system: number | null
  readonly product_to_libp2p: number | null
  readonly libp2p_to_floor: number | null
}

export function costOf({ cpu, certified }: Pick<Result, 'cpu' | 'certified'>): Cost {
  const perByte = (seconds: number): number | null =>
    certified.bytes === 0 ? null : round((seconds * 1e9) / certified.bytes)
  return { total: perByte(cpu.user_s + cpu.system_s), user: perByte(cpu.user_s), system: perByte(cpu.system_s) }
}

export function ratiosOf(product: Cost, floor: Cost, libp2p: Cost): Ratios {
  return {
    product_to_floor: quotient(product.total, floor.total),
    product_to_floor_user: quotient(product.user, floor.user),
    product_to_floor_system: quotient(product.system, floor.system),
    product_to_libp2p: quotient(product.total, libp2p.total),
    libp2p_to_floor: quotient(libp2p.total, floor.total),
  }
}

function quotient(a: number | null, b: number | null): number | null {
  return a === null || b === null || b === 0 ? null : round(a / b)
}

function round(value: number): number {
  return Number(value.toFixed(2))
}
