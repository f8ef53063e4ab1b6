import { parentPort } from 'node:worker_threads'

/**
 * Serves a doorbell until `isOpen` says no, blocking or on the event loop. A wait on shared memory does not keep an
 * event loop alive, so that of `loop` holds the port.
 */
export async function serve(doorbell, waits, poll, isOpen) {
  if (waits === 'blocking') {
    doorbell.serveBlocking(poll, isOpen, () => {})
    return
  }
  const hold = () => {}
  parentPort.on('message', hold)
  await doorbell.serve(poll, isOpen)
  parentPort.off('message', hold)
  parentPort.unref()
}
