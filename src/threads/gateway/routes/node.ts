/** `/v1/status`, `/v1/committee`, `/v1/checkpoints`: how the node is, and what a verifier needs. */
import type { FastifyInstance } from 'fastify'
import { NarvalError } from '../../../shared/errors.js'
import type { GatewayMember } from '../../../shared/memory/dialogue/gateway.js'
import type { StoredCheckpoint } from '../../../shared/store/primary/checkpoint-reader.js'
import type { GatewayContext } from '../context.js'
import { knownQuery, wholeNumber } from '../door/query.js'

export function addNode(app: FastifyInstance, { authority, lastApplied, log, main, readers }: GatewayContext): void {
  app.get('/v1/status', async (request, reply) => {
    knownQuery(request.query, [])
    const said = await main.ask({ type: 'status' })
    const { last, oldest } = log.bounds()
    const head = last === 0 ? undefined : log.after(last - 1)
    const attested = readers.checkpoints.latest()?.checkpoint.index ?? 0
    reply.header('cache-control', 'no-store')
    return {
      ...{ authority: authority.name, version: authority.version, ok: said.ok, ordering: said.ordering },
      ...{ head: last, oldest, attested, round: said.round },
      ...(lastApplied.index !== undefined && { applied: lastApplied.index }),
      ...(head && { timestamp: head.timestamp }),
      peers: authority.committee
        .filter(({ name }) => name !== authority.name)
        .map(({ name }) => ({ authority: name, connected: said.connected.includes(name) })),
      problems: said.problems,
    }
  })

  app.get('/v1/committee', (request, reply) => {
    knownQuery(request.query, [])
    const { epoch } = readers.log.settings
    reply.header('cache-control', 'public, max-age=60')
    return reply.send({ epoch, digest: authority.committeeDigest, authorities: fileOf(authority.committee) })
  })

  app.get('/v1/checkpoints/:n', (request, reply) => {
    knownQuery(request.query, [])
    const { n } = request.params as { n: string }
    const isLatest = n === 'latest'
    const index = isLatest ? 0 : wholeNumber('n', n, 1, Number.MAX_SAFE_INTEGER)
    const found = isLatest ? readers.checkpoints.latest() : readers.checkpoints.at(index)
    if (found === undefined) {
      const which = isLatest ? 'no checkpoint yet' : `no checkpoint of commit ${index}`
      throw new NarvalError('ERR_CHECKPOINT_NOT_FOUND', `there is ${which} that a quorum has signed`)
    }
    // A later signature may still be added to it.
    reply.header('cache-control', isLatest ? 'no-cache' : 'public, max-age=60')
    return reply.send(checkpointView(found, authority.committee))
  })
}

/** As a committee file has it, without addresses. */
function fileOf(committee: readonly GatewayMember[]): object {
  return Object.fromEntries(
    committee.map(({ name, stake, workers }) => [
      name,
      { stake, primary: {}, workers: Object.fromEntries(workers.map((id) => [id, {}])) },
    ]),
  )
}

function checkpointView({ bytes, checkpoint }: StoredCheckpoint, committee: readonly GatewayMember[]): object {
  const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
  return {
    index: checkpoint.index,
    epoch: checkpoint.epoch,
    root: hex(checkpoint.root),
    state: hex(checkpoint.state),
    signers: checkpoint.signatures.map(({ signer }) => committee[signer]!.name),
    record: Buffer.from(bytes).toString('base64'),
  }
}
