/** Where metrics are served, as a flag or an option names it. */
import { parseTcpAddress, type TcpAddress } from '../../shared/config/address.js'

export const METRICS_ADDRESS_FORM =
  'host:port, as 127.0.0.1:9100, [::1]:9100 or localhost:9100, or :9100 for 127.0.0.1:9100'

/** A port alone is that of loopback: metrics have no authentication, so that other addresses must be asked for. */
export function parseMetricsAddress(text: string): TcpAddress | undefined {
  return parseTcpAddress(text.startsWith(':') ? `127.0.0.1${text}` : text)
}
