/** `/v1/commits`: what is ordered, a record at a time or several. What is in the log never changes, so it may be kept. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { NarvalError } from '../../../shared/errors.js'
import type { LoggedBatch } from '../../../shared/store/primary/commit-log-reader.js'
import type { GatewayContext } from '../context.js'
import { knownQuery, wholeNumber } from '../door/query.js'
import { COMMIT_BATCHES_MAX, COMMITS_PER_ANSWER_MAX } from '../limits.js'
import { type CommitHeadView, headView } from '../order/ordered-log.js'

const COMMITS_PER_ANSWER = 100
const FOR_EVER = 'public, max-age=31536000, immutable'

export function addCommits(app: FastifyInstance, { authority, log, readers }: GatewayContext): void {
  const batchView = ({ author, digest, position, worker }: LoggedBatch): object => ({
    position,
    digest: Buffer.from(digest).toString('hex'),
    author: authority.committee[author]!.name,
    worker,
  })

  app.get('/v1/commits/:n', (request, reply) => {
    const { from: start = '0', limit: most = String(COMMIT_BATCHES_MAX) } = knownQuery(request.query, ['from', 'limit'])
    const index = wholeNumber('n', (request.params as { n: string }).n, 1, Number.MAX_SAFE_INTEGER)
    const from = wholeNumber('from', start, 0, Number.MAX_SAFE_INTEGER)
    const limit = wholeNumber('limit', most, 1, COMMIT_BATCHES_MAX)
    for (const commit of readers.log.commits(index - 1)) {
      const view = headView(commit)
      if (isKnown(view, request.headers['if-none-match'], reply)) return reply.code(304).send()
      const batches: object[] = []
      for (const batch of commit.batches(from)) {
        batches.push(batchView(batch))
        if (batches.length === limit) break
      }
      const { id, round, author } = commit.anchor
      const anchor = { id: Buffer.from(id).toString('hex'), round, author: authority.committee[author]!.name }
      return reply.send({ ...view, anchor, from, batches })
    }
    throw new NarvalError(
      'ERR_COMMIT_NOT_FOUND',
      `commit ${index} is not in the log, of which the last is ${log.bounds().last}`,
    )
  })

  app.get('/v1/commits', (request, reply) => {
    const { after: behind = '0', limit: most = String(COMMITS_PER_ANSWER) } = knownQuery(request.query, [
      'after',
      'limit',
    ])
    const after = wholeNumber('after', behind, 0, Number.MAX_SAFE_INTEGER)
    const limit = wholeNumber('limit', most, 1, COMMITS_PER_ANSWER_MAX)
    const commits: CommitHeadView[] = []
    for (let index = after; commits.length < limit; index += 1) {
      const commit = log.after(index)
      if (commit === undefined) break
      commits.push(commit)
    }
    // All that were asked for: the same answer for good.
    reply.header('cache-control', commits.length === limit ? FOR_EVER : 'no-cache')
    const { last, oldest } = log.bounds()
    return reply.send({ commits, ...(commits.length < limit && { oldest, last }) })
  })
}

function isKnown({ digest }: CommitHeadView, known: string | undefined, reply: FastifyReply): boolean {
  const tag = `"${digest}"`
  reply.header('cache-control', FOR_EVER)
  reply.header('etag', tag)
  return known === tag
}
