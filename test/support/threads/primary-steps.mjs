/**
 * A process that does all that a primary's store does once, from the keys on (primary-script.mjs), and says on stdout what is
 * true by then. It is killed somewhere (preload/steps.c).
 */
import { writeSync } from 'node:fs'
import { recordFlushFailure } from '../../../dist/shared/store/flush-failure.js'
import { lockStore } from '../../../dist/shared/store/lock.js'
import { writeFreshMarker } from '../../../dist/shared/store/primary/fresh-marker.js'
import { encodeCertificate } from '../../../dist/shared/wire/primary/certificate.js'
import { encodeAttestedCheckpoint } from '../../../dist/shared/wire/primary/checkpoint.js'
import { headerId } from '../../../dist/shared/wire/primary/header-id.js'
import { encodeVote } from '../../../dist/shared/wire/primary/vote.js'
import { RecordChain } from '../../../dist/threads/primary/commit-log/record-chain.js'
import { PrimaryStore } from '../../../dist/threads/primary/store/primary-store.js'
import { OPTIONS, runStages, stagesOf } from './primary-script.mjs'

/** `from` is the stage that it begins with; `isFlushFailed` says that the run before could not flush. */
const { directory, from, isFlushFailed = false } = JSON.parse(process.argv[2])
const say = (line) => writeSync(1, `${line}\n`)

async function open(options) {
  const lock = lockStore(directory)
  const store = new PrimaryStore(
    { directory, ...OPTIONS, ...options },
    { onFatal: (error) => say(`fatal ${error.message}`), onNotice: () => {} },
  )
  await store.open()
  say('opened')
  const close = async () => {
    await store.close()
    lock.release()
  }
  return { close, state: () => store.state(), write: (writes, onDurable) => store.write(writes, onDurable) }
}

if (from === 0) {
  // As whoever makes the keys does.
  lockStore(directory).release()
  writeFreshMarker(directory, OPTIONS.settings.authority)
  say('marked')
}
if (isFlushFailed) recordFlushFailure(directory, 'the disk is broken')
const stages = stagesOf({ encodeAttestedCheckpoint, encodeCertificate, encodeVote, headerId })
const store = await runStages(stages, from, open, (stage) => say(`durable ${stage}`), RecordChain)
await store.close()
say('done')
