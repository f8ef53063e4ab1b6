/** Figures as a person reads them, with three digits that count. */

const TIMES: readonly (readonly [number, string])[] = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
  [1, 'ns'],
]
/** Powers of 1000. */
const COUNTS: readonly (readonly [number, string])[] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
]

/** `812 ns`, `1.25 µs`. */
export function formatTime(ns: number): string {
  return scaled(ns, TIMES)
}

/** A number of something a second: `1.25 M`. */
export function formatRate(perS: number): string {
  return scaled(perS, COUNTS).trimEnd()
}

/** `1.25 GB/s`, in powers of 1000. */
export function formatBytesPerS(bytesPerS: number): string {
  return scaled(
    bytesPerS,
    COUNTS.map(([unit, name]) => [unit, `${name}B/s`]),
  )
}

/** `1250`, `12.5`, `0.00125`: three digits that count, and no power of ten. */
export function formatNumber(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)))
  // Rounding may have added a digit: 9.999 is 10.0.
  const rounded = Number(size.toFixed(Math.min(digits, 20)))
  return value.toFixed(rounded >= 10 ** (3 - digits) && digits > 0 ? digits - 1 : Math.min(digits, 20))
}

/** Bytes of a piece or a chunk, as its case is called: `512 B`, `64 KiB`; not rounded. */
export function formatSize(bytes: number): string {
  return bytes >= 1024 && bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`
}

function scaled(value: number, units: readonly (readonly [number, string])[]): string {
  // 999.7 of a unit would read as 1000 of it.
  const [unit, name] = units.find(([size]) => Math.abs(value) >= size * 0.9995) ?? units.at(-1)!
  return `${formatNumber(value / unit)} ${name}`
}
