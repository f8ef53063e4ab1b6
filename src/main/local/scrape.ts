/** Asks a node over HTTP for its metrics and its health. */
import { get } from 'node:http'
import type { TcpAddress } from '../../shared/config/address.js'
import { LOCAL_SCRAPE_DEADLINE_MS } from './limits.js'
import { parseMetrics } from './metrics-text.js'
import type { Scrape } from './node-stats.js'

interface Answer {
  readonly status: number
  readonly body: string
}

/** The node's metrics, or undefined where it does not answer in time. */
export async function scrape(address: TcpAddress, deadlineMs = LOCAL_SCRAPE_DEADLINE_MS): Promise<Scrape | undefined> {
  const answer = await ask(address, '/metrics', deadlineMs)
  if (answer?.status !== 200) return undefined
  return { metrics: parseMetrics(answer.body) }
}

/** Whether the node is connected to a quorum and takes writes; what it says if it is not. */
export async function health(address: TcpAddress): Promise<{ readonly ok: boolean; readonly text: string }> {
  const answer = await ask(address, '/health')
  if (answer === undefined) return { ok: false, text: 'no answer' }
  return { ok: answer.status === 200, text: answer.body.trim() }
}

function ask(address: TcpAddress, path: string, deadlineMs = LOCAL_SCRAPE_DEADLINE_MS): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const request = get({ ...address, path, agent: false, timeout: deadlineMs }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', () => resolve(undefined))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })
}
