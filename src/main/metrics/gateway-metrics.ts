/** The metrics of the gateway's thread. */
import { Registry } from 'prom-client'
import type { Counters } from '../../shared/memory/counters.js'
import { addLevel, addSum } from './families.js'
import { addRuntimeMetrics } from './thread-metrics.js'

export class GatewayMetrics {
  readonly registry = new Registry()

  constructor(counters: Counters<'gateway'>) {
    const { registry } = this
    const sum = (name: string, help: string, counter: Parameters<typeof counters.get>[0]): void =>
      addSum(registry, name, help, () => counters.get(counter))
    const level = (name: string, help: string, counter: Parameters<typeof counters.get>[0]): void =>
      addLevel(registry, name, help, () => counters.get(counter))
    addRuntimeMetrics(registry, { gateway: counters })
    sum('narval_gateway_requests_total', 'Requests that were answered.', 'requests')
    sum('narval_gateway_refused_total', 'Of these and of what was no request, those refused: 4xx and 5xx.', 'refused')
    sum('narval_gateway_failures_total', 'Requests that failed by a fault of ours: 500.', 'failures')
    level('narval_gateway_connections', 'Connections to the gateway.', 'connections')
    sum(
      'narval_gateway_connections_refused_total',
      'Connections and readers of the stream that got no place, or lost theirs to another address.',
      'connectionsRefused',
    )
    level('narval_gateway_streams', 'Readers of the stream.', 'streams')
    sum(
      'narval_gateway_streams_ended_total',
      'Readers of the stream that were ended, since their address had too many or they held too much.',
      'streamsEnded',
    )
    sum('narval_gateway_events_total', 'Events written to readers of the stream.', 'events')
    sum('narval_gateway_event_bytes_total', 'Bytes of these.', 'eventBytes')
    level('narval_gateway_held_bytes', 'Bytes of events that sockets have not taken yet.', 'heldBytes')
  }

  text(): Promise<string> {
    return this.registry.metrics()
  }
}
