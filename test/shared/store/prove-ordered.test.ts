/** Proofs made of the stores of a real committee, beside the running nodes and behind them. */
import { expect, test } from 'vitest'
import type { Place } from '../../../src/shared/receipts.js'
import { primaryDirectory } from '../../../src/shared/store/authority-directories.js'
import { openPrimaryDatabases } from '../../../src/shared/store/primary/format.js'
import { ProofReaders } from '../../../src/shared/store/proof-readers.js'
import { type MadeProof, proveOrdered } from '../../../src/shared/store/prove-ordered.js'
import { sha256 } from '../../../src/shared/wire/primary/sha256.js'
import { committeeOf } from '../../../src/shared/wire/proof/committee-of.js'
import { encodeReceiptProof } from '../../../src/shared/wire/proof/receipt-proof.js'
import { verify } from '../../../src/shared/wire/proof/verify-receipt.js'
import { type Member, newMembers, start } from '../../support/authority-under-test.js'
import { until } from '../../support/until.js'

/** As a client knows it: the committee file. */
function verifierOf({ committee }: Member) {
  const authorities = committee.authorities.map(({ name, stake, workers }) => [
    name,
    { stake, workers: Object.fromEntries([...workers.keys()].map((id) => [id, {}])) },
  ])
  return committeeOf({ authorities: Object.fromEntries(authorities) })
}

const bytesOf = ({ proof }: MadeProof): Uint8Array => encodeReceiptProof(proof)

async function attested(readers: ProofReaders, place: Place): Promise<MadeProof> {
  let made: MadeProof | undefined
  await until('a checkpoint behind it', async () => {
    made = await proveOrdered(readers, place)
    return made.lacks.order === undefined
  })
  return made!
}

test('every transaction that a committee of four orders is proven by any of them to whoever has the committee file', async () => {
  const members = await newMembers(4, 2)
  const authorities = await Promise.all(members.map((member) => start(member)))
  const sent = Array.from({ length: 40 }, (_, n) => Buffer.from(`transaction ${n} ${'x'.repeat(n * 50)}`))
  for (const [n, transaction] of sent.entries()) await authorities[n % 4]!.submit(transaction)
  const places = new Map<string, Place>()
  for await (const commit of authorities[0]!.commits()) {
    for await (const batch of commit.batches()) {
      const { position } = batch.cursor
      for (const [index, transaction] of [...batch.transactions()].entries()) {
        places.set(Buffer.from(transaction).toString('latin1'), { commit: commit.index, position, index })
      }
    }
    if (places.size === sent.length) break
  }
  const committee = verifierOf(members[0]!)
  const proofs = new Map<string, Uint8Array>()
  for (const [which, member] of members.slice(0, 2).entries()) {
    const readers = new ProofReaders(member.store)
    try {
      for (const [text, place] of places) {
        const made = await attested(readers, place)
        expect(made.lacks).toEqual({})
        const check = verify(committee, bytesOf(made), sha256(Buffer.from(text, 'latin1')))
        expect(check).toMatchObject({
          ok: true,
          receipt: { stage: 'attested', place: { commit: place.commit, position: place.position } },
        })
        expect(check.ok && check.receipt.certificate?.voters.length).toBeGreaterThanOrEqual(3)
        // The first checkpoint behind it: what is asked for again is the same.
        if (which === 0) proofs.set(text, bytesOf(made))
      }
      for (const [text, place] of places) {
        const again = bytesOf(await proveOrdered(readers, place))
        if (which === 0) expect(Buffer.compare(again, proofs.get(text)!)).toBe(0)
      }
      const { last } = readers.log.bounds()
      for (const place of [
        { commit: last + 1_000, position: 0, index: 0 },
        { ...[...places.values()][0]!, position: 1_000 },
        { ...[...places.values()][0]!, index: 1_000 },
      ]) {
        await expect(proveOrdered(readers, place)).rejects.toMatchObject({ code: 'ERR_TRANSACTION_NOT_FOUND' })
      }
    } finally {
      readers.close()
    }
  }
  await Promise.all(authorities.map((authority) => authority.close()))

  // What is beyond retention, in the store that nobody runs any more.
  const [text, place] = [...places][0]!
  const id = sha256(Buffer.from(text, 'latin1'))
  const { store } = members[0]!
  const cleared = async (name: 'certificates' | 'checkpoints'): Promise<void> => {
    const databases = openPrimaryDatabases(primaryDirectory(store))
    await databases[name].clearAsync()
    await databases.root.close()
  }
  const made = async (): Promise<MadeProof> => {
    const readers = new ProofReaders(store)
    return proveOrdered(readers, place).finally(() => readers.close())
  }
  await cleared('certificates')
  const orderOnly = await made()
  expect(orderOnly.lacks).toEqual({ availability: 'certificate-pruned' })
  const shown = verify(committee, bytesOf(orderOnly), id)
  expect(shown).toMatchObject({ ok: true, receipt: { stage: 'attested' } })
  expect(shown.ok && shown.receipt).not.toHaveProperty('certificate')
  await cleared('checkpoints')
  await expect(made()).rejects.toMatchObject({ code: 'ERR_NOT_PROVABLE' })
}, 120_000)

test('before a quorum has signed a checkpoint the proof shows that it is certified, and says what it lacks', async () => {
  const [member] = await newMembers(1)
  const authority = await start(member!)
  await authority.submit(Buffer.from('alone'))
  let place: Place | undefined
  for await (const commit of authority.commits()) {
    if (commit.batchCount === 0) continue
    place = { commit: commit.index, position: 0, index: 0 }
    break
  }
  const readers = new ProofReaders(member!.store)
  try {
    const checkpoints = { firstFrom: () => undefined, prove: () => [] }
    const sources = { log: readers.log, certificates: readers.certificates, batch: readers.batch, checkpoints }
    const made = await proveOrdered(sources, place!)
    expect([made.lacks, made.checkpoint]).toEqual([{ order: 'not-attested' }, undefined])
    expect(verify(verifierOf(member!), bytesOf(made))).toMatchObject({ ok: true, receipt: { stage: 'certified' } })
    const none = { ...sources, batch: () => undefined }
    await expect(proveOrdered(none, place!)).rejects.toMatchObject({ code: 'ERR_BATCH_NOT_FOUND' })
    await expect(proveOrdered(sources, { commit: 0, position: 0, index: 0 })).rejects.toThrow(RangeError)
  } finally {
    readers.close()
  }
}, 60_000)
