/** Resolves after `delayMs`, at once if that is 0, or early when `stop` is aborted. */
export function sleep(delayMs: number, stop?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (delayMs <= 0 || stop?.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      stop?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, delayMs)
    stop?.addEventListener('abort', end)
  })
}

/** Resolves when `stop` is aborted. */
export function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve()
    else stop.addEventListener('abort', () => resolve(), { once: true })
  })
}
