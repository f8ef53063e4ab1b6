/** What there is to ask the gateway for, as an OpenAPI document. A test holds it against the routes. */

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly description: string
  readonly schema: object
}

const COUNT = { type: 'integer', minimum: 0 }
const INDEX = { type: 'integer', minimum: 1 }
const BOOLEAN = { type: 'boolean', default: false }
const TEXT = { type: 'string' }
const HEX = { type: 'string', pattern: '^[0-9a-f]{64}$' }

const problem = (description: string): object => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
})
const json = (description: string, schema: object = { type: 'object' }): object => ({
  description,
  content: { 'application/json': { schema } },
})
const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` })
const list = (items: object): object => ({ type: 'array', items })
const object = (properties: Record<string, object>): object => ({ type: 'object', properties })

const query = (name: string, description: string, schema: object): Parameter => ({
  name,
  in: 'query',
  description,
  schema,
})
const path = (name: string, description: string, schema: object): Parameter => ({
  ...{ name, in: 'path', required: true, description, schema },
})

function get(summary: string, parameters: readonly Parameter[], responses: Record<string, object>): object {
  const common = {
    '400': problem('Something in the request is not what it has to be.'),
    '401': problem('The gateway has a token, and the request does not.'),
    '429': problem('Too many requests of this address, or all places are taken.'),
    '503': problem('The node is busy or closing.'),
  }
  return { summary, parameters, responses: { ...responses, ...common } }
}

function post(summary: string, description: string, responses: Record<string, object>): object {
  const wait = query('wait', 'The stage to answer at.', { type: 'string', enum: ['queued'], default: 'queued' })
  const said = get(summary, [wait], {
    ...responses,
    '413': problem('The body, or a transaction, is too large.'),
    '415': problem('The body is of another type.'),
  })
  const content = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }
  return { ...said, requestBody: { required: true, description, content } }
}

const SCHEMAS = {
  Receipt: object({ id: HEX, stage: { type: 'string', enum: ['queued'] } }),
  Problem: object({
    title: TEXT,
    status: INDEX,
    code: { type: 'string', description: 'Stable: ERR_…' },
    detail: TEXT,
    oldest: { type: 'integer', description: 'With ERR_COMMITS_PRUNED: the oldest commit that is there.' },
  }),
  Commit: object({
    ...{ index: INDEX, epoch: COUNT, timestamp: COUNT, firstBatch: COUNT, batchCount: COUNT, certificateCount: INDEX },
    ...{ digest: HEX, previous: HEX },
  }),
  Batch: object({ position: COUNT, digest: HEX, author: TEXT, worker: COUNT }),
  Checkpoint: object({
    ...{ index: INDEX, epoch: COUNT, root: HEX, state: HEX, signers: list(TEXT) },
    record: { type: 'string', format: 'byte', description: 'As in docs/protocol.md, with the signatures.' },
  }),
  Status: object({
    ...{ authority: TEXT, version: TEXT, ok: BOOLEAN, ordering: BOOLEAN, head: COUNT, oldest: COUNT, attested: COUNT },
    ...{ round: COUNT, timestamp: COUNT, applied: COUNT, problems: list(TEXT) },
    peers: list(object({ authority: TEXT, connected: BOOLEAN })),
  }),
  Committee: object({
    ...{ epoch: COUNT, digest: HEX },
    authorities: { type: 'object', description: 'As in a committee file, without addresses.' },
  }),
}

const PRUNED = problem('Retention has deleted it: `oldest` says where the log begins.')

export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'narval gateway',
    version: '1',
    description: 'The order of a committee, over HTTP, from one of its authorities.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  security: [{}, { token: [] }],
  paths: {
    '/v1/transactions': {
      post: post('Hands over a transaction. Its id is the SHA-256 of its bytes.', 'The transaction.', {
        '200': json('It is in line for a batch.', ref('Receipt')),
      }),
    },
    '/v1/transactions/batch': {
      post: post('Hands over many.', 'Each behind its length: 4 bytes, big-endian.', {
        '200': json('All are in line.', object({ receipts: list(ref('Receipt')) })),
        '207': json(
          'Some were refused: these have `code` and `detail`.',
          object({ receipts: list({ type: 'object' }) }),
        ),
      }),
    },
    '/v1/commits/{n}': {
      get: get(
        'A commit, and its batches. It never changes.',
        [
          path('n', 'Its index, from 1.', INDEX),
          query('from', 'The position of the first batch of the answer.', COUNT),
          query('limit', 'Batches in the answer, at most.', { type: 'integer', minimum: 1, maximum: 1000 }),
        ],
        {
          '200': json('The commit.', { allOf: [ref('Commit'), object({ batches: list(ref('Batch')) })] }),
          '304': { description: 'The one that `If-None-Match` names.' },
          '404': problem('It is not in the log yet.'),
          '410': PRUNED,
        },
      ),
    },
    '/v1/commits': {
      get: get(
        'Commits behind one, without their batches.',
        [
          query('after', 'The index of the one before; 0 for the beginning.', COUNT),
          query('limit', 'Commits in the answer, at most.', { type: 'integer', minimum: 1, maximum: 1000 }),
        ],
        {
          '200': json('As many as there are; with `oldest` and `last` at the end of the log.', {
            ...object({ commits: list(ref('Commit')), oldest: COUNT, last: COUNT }),
          }),
          '410': PRUNED,
        },
      ),
    },
    '/v1/stream': {
      get: get(
        'The order as server-sent events: `batch`, with transactions in base64, in pieces if it is large, of which the last has the id; `commit` once all of it was given; `problem` before an end that is an error.',
        [
          query('after', 'A cursor: `commit`, or `commit.position`. Without it, from now on.', TEXT),
          query('empty', 'Whether commits without batches are given.', BOOLEAN),
          query('payload', 'Whether batches come with their transactions.', { type: 'boolean', default: true }),
          { name: 'Last-Event-ID', in: 'header', description: 'A cursor, before that of `after`.', schema: TEXT },
        ],
        {
          '200': { description: 'It does not end.', content: { 'text/event-stream': { schema: TEXT } } },
          '404': problem('The cursor is far ahead of this authority.'),
          '410': PRUNED,
        },
      ),
    },
    '/v1/status': { get: get('How this authority is.', [], { '200': json('Its state.', ref('Status')) }) },
    '/v1/committee': {
      get: get('The committee, as this authority has it. Who verifies has it from elsewhere.', [], {
        '200': json('Keys, stakes and workers.', ref('Committee')),
      }),
    },
    '/v1/checkpoints/{n}': {
      get: get('A checkpoint that a quorum has signed.', [path('n', 'The index of its commit, or `latest`.', TEXT)], {
        '200': json('The checkpoint.', ref('Checkpoint')),
        '404': problem('A quorum has signed none there.'),
      }),
    },
    '/v1/openapi.json': { get: get('This document.', [], { '200': json('OpenAPI 3.1.') }) },
    '/livez': { get: get('Whether the node runs.', [], { '200': { description: 'It does.' } }) },
    '/readyz': { get: get('Whether it does what it is there for.', [], { '200': json('Its health.') }) },
    '/metrics': { get: get("Metrics in Prometheus' text format.", [], { '200': { description: 'Metrics.' } }) },
  },
  components: {
    schemas: SCHEMAS,
    securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
  },
} as const
