/**
 * A doorbell wakes the one thread that owns it. Producers publish in its rings first and then ring.
 *
 * ```
 *  0          4          128
 *  ├─ rings ──┼─ parked ─┤
 *    any        owner
 * ```
 *
 * The owner reads `rings`, sets `parked`, polls all of its rings once more, and only then waits for `rings` to change
 * from the value it read. A producer publishes, adds one to `rings`, and notifies if `parked`. Either the owner's last
 * poll sees the message, or the producer's add changes the word that the owner waits on; no order of the two sides
 * sleeps on a message. `parked` only saves the system call: it is never the reason to skip a poll.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

const RINGS = 0 // Int32 index; any producer adds to it
const PARKED = 1 // Int32 index; written by the owner only
export const DOORBELL_BYTES = 128

export interface DoorbellRegion {
  readonly buffer: SharedArrayBuffer
  readonly byteOffset: number
}

export class Doorbell {
  private readonly words: Int32Array

  constructor(region: DoorbellRegion) {
    this.words = new Int32Array(region.buffer, region.byteOffset, DOORBELL_BYTES / 4)
  }

  /** Producer: call after publishing. */
  ring(): void {
    Atomics.add(this.words, RINGS, 1)
    if (Atomics.load(this.words, PARKED) === 1) Atomics.notify(this.words, RINGS)
  }

  /**
   * Owner, on a thread of its own that may block: calls `poll`, which drains every ring and says how many messages it
   * found, until `isOpen` says no. `onWaited` is told the milliseconds of each wait.
   */
  serveBlocking(poll: () => number, isOpen: () => boolean, onWaited: (ms: number) => void): void {
    while (isOpen()) {
      const seen = Atomics.load(this.words, RINGS)
      Atomics.store(this.words, PARKED, 1)
      if (poll() === 0 && isOpen()) {
        const start = performance.now()
        Atomics.wait(this.words, RINGS, seen)
        onWaited(performance.now() - start)
      }
      Atomics.store(this.words, PARKED, 0)
    }
  }

  /**
   * Owner, on an event loop: the same, without blocking it. At most one `waitAsync` is outstanding, and it has no
   * timeout (with one, V8 keeps the waiter until the timeout passes). A pass that found work is followed by a second one
   * at once, which mostly finds nothing and costs less than a turn of the event loop. If that one found work too, the
   * event loop gets a turn before the next: sockets and commits go on while messages keep coming.
   */
  async serve(poll: () => number, isOpen: () => boolean): Promise<void> {
    while (isOpen()) {
      let seen = Atomics.load(this.words, RINGS)
      Atomics.store(this.words, PARKED, 1)
      let found = poll()
      if (found > 0 && isOpen()) {
        seen = Atomics.load(this.words, RINGS)
        found = poll()
      }
      if (!isOpen()) return
      if (found > 0) {
        Atomics.store(this.words, PARKED, 0)
        await nextTurn()
        continue
      }
      const wait = Atomics.waitAsync(this.words, RINGS, seen)
      if (wait.async) await wait.value
      Atomics.store(this.words, PARKED, 0)
    }
  }
}
