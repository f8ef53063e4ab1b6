/**
 * narval-node/client in a real browser, from a bundle: a proof that a real committee made holds there, and an altered one does
 * not. Skipped where there is no Chromium.
 *
 * Runs alone: a committee and a browser load the machine by themselves.
 */
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { chromium } from 'playwright-core'
import { build, type Rolldown } from 'vite'
import { expect, onTestFinished, test } from 'vitest'
import { ProofReaders } from '../../src/shared/store/proof-readers.js'
import { proveOrdered } from '../../src/shared/store/prove-ordered.js'
import { encodeReceiptProof } from '../../src/shared/wire/proof/receipt-proof.js'
import type { ReceiptCheck } from '../../src/shared/wire/proof/verify-receipt.js'
import { newMembers, start } from '../support/authority-under-test.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { until } from '../support/until.js'

const CHROMIUM = process.env.NARVAL_CHROMIUM ?? '/usr/bin/chromium'
const ENTRY = resolve(import.meta.dirname, '../../dist/client/index.js')

async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    root: temporaryDirectory(),
    build: { write: false, target: 'es2022', lib: { entry: ENTRY, formats: ['es'], fileName: 'client' } },
  })
  const { output } = (Array.isArray(result) ? result[0] : result) as Rolldown.RolldownOutput
  return output[0].code
}

/** A proof that four authorities made, and what their committee file says. */
async function proven(): Promise<{ proof: Uint8Array; committee: object }> {
  const members = await newMembers(4)
  const authorities = await Promise.all(members.map((member) => start(member)))
  await authorities[1]!.submit(Buffer.from('seen in a browser'))
  let commit = 0
  for await (const each of authorities[0]!.commits()) {
    commit = each.index
    if (each.batchCount > 0) break
  }
  const readers = new ProofReaders(members[0]!.store)
  onTestFinished(() => readers.close())
  let proof: Uint8Array | undefined
  await until('a checkpoint behind it', async () => {
    const made = await proveOrdered(readers, { commit, position: 0, index: 0 })
    if (made.lacks.order === undefined) proof = encodeReceiptProof(made.proof)
    return proof !== undefined
  })
  const entries = members[0]!.committee.authorities.map(({ name, stake }) => [name, { stake, workers: { 0: {} } }])
  return { proof: proof!, committee: { authorities: Object.fromEntries(entries) } }
}

const HTML = `<!doctype html><title>narval</title><script type="module">
  import * as narval from '/client.js'
  globalThis.narval = narval
</script>`

/** What the page's script leaves there. */
interface Page {
  readonly narval: Narval
  readonly location: { readonly origin: string }
}

interface Narval {
  readonly Client: typeof import('../../src/client/index.js').Client
  readonly committeeOf: typeof import('../../src/client/index.js').committeeOf
  readonly verify: typeof import('../../src/client/index.js').verify
}

test.skipIf(!existsSync(CHROMIUM))(
  'a browser verifies a proof of a real committee, fetched by the client, and refuses altered ones',
  async () => {
    const [code, { committee, proof }] = [await bundle(), await proven()]
    const server = createServer((request, response) => {
      const isProof = request.url!.includes('/proof')
      const type = isProof ? 'application/octet-stream' : request.url === '/client.js' ? 'text/javascript' : 'text/html'
      response.writeHead(200, { 'content-type': type })
      response.end(isProof ? proof : request.url === '/client.js' ? code : HTML)
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void server.close())
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--headless', '--no-sandbox', '--disable-background-networking'],
    })
    onTestFinished(() => browser.close())
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.waitForFunction('globalThis.narval !== undefined')
    const found = await page.evaluate(
      async ({ file, given }) => {
        const { location, narval } = globalThis as unknown as Page
        const { Client, committeeOf, verify } = narval
        const committee = committeeOf(file)
        const bytes = Uint8Array.from(given)
        const check: ReceiptCheck = verify(committee, bytes)
        if (!check.ok) return { reason: check.reason }
        const runs = 20
        const began = performance.now()
        for (let run = 0; run < runs; run += 1) verify(committee, bytes)
        const verifyMs = (performance.now() - began) / runs
        let taken = 0
        for (let at = 0; at < bytes.length; at += 37) {
          const altered = Uint8Array.from(bytes)
          altered[at]! ^= 1 << (at % 8)
          if (verify(committee, altered).ok) taken += 1
        }
        const client = new Client({ urls: location.origin })
        const { stage, transaction } = await client.prove(committee, check.receipt.id)
        return { stage, taken, text: new TextDecoder().decode(transaction), verifyMs }
      },
      { file: committee, given: [...proof] },
    )
    expect(found).toMatchObject({ stage: 'attested', text: 'seen in a browser', taken: 0 })
    console.log(`${proof.length} bytes, verified in ${found.verifyMs?.toFixed(1)} ms in ${browser.version()}`)
  },
  120_000,
)
