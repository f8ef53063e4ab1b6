/** Pauses of a thread, pseudo-random, so that two runs with one seed pause alike. */
export function randomOf(seed) {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** Keeps the thread busy, as work does. */
export function spin(microseconds) {
  const end = performance.now() + microseconds / 1000
  while (performance.now() < end);
}

const nobody = new Int32Array(new SharedArrayBuffer(4))

/** Takes the thread off its core, as the scheduler does. */
export function doze(ms) {
  Atomics.wait(nobody, 0, 0, ms)
}

/** At a random share of the calls a short spin, now and then a sleep: never in step with the other side. */
export function pauser(seed, share) {
  const random = randomOf(seed)
  return () => {
    if (share === 0 || random() >= share) return
    if (random() < 0.02) doze(1)
    else spin(random() * 40)
  }
}
