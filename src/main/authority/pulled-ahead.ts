/**
 * Reads a source ahead of whoever takes from it: the next items are on their way while one is dealt with.
 *
 * @param itemsMax how many wait at most
 * @param toItem makes an item of what has come, before it is taken
 * @param stop makes a source end that waits for its next item; called when the taker leaves
 */
import { Deque } from '../lib/deque.js'

export async function* pulledAhead<S, T>(
  source: AsyncIterable<S>,
  itemsMax: number,
  toItem: (come: S) => T,
  stop: () => void,
): AsyncGenerator<T, void, undefined> {
  const pulled = new Deque<T>()
  const [some, room] = [new Wake(), new Wake()]
  let isLeft = false
  let end: { readonly error?: unknown } | undefined
  const pull = async (): Promise<void> => {
    for await (const come of source) {
      if (isLeft) return
      pulled.pushBack(toItem(come))
      some.wake()
      while (pulled.size >= itemsMax && !isLeft) await room.woken()
    }
  }
  const ended = (how: { readonly error?: unknown }): void => {
    end = how
    some.wake()
  }
  const pulling = pull().then(
    () => ended({}),
    (error: unknown) => ended({ error }),
  )
  try {
    for (;;) {
      const item = pulled.popFront()
      if (item !== undefined) {
        room.wake()
        yield item
      } else if (end === undefined) await some.woken()
      else if ('error' in end) throw end.error
      else return
    }
  } finally {
    isLeft = true
    room.wake()
    stop()
    await pulling
  }
}

/** One that waits, and what wakes it: also if it begins to wait only after that. */
class Wake {
  private isWoken = false
  private wakeUp: (() => void) | undefined

  wake(): void {
    this.isWoken = true
    this.wakeUp?.()
  }

  async woken(): Promise<void> {
    if (!this.isWoken)
      await new Promise<void>((resolve) => {
        this.wakeUp = resolve
      })
    this.wakeUp = undefined
    this.isWoken = false
  }
}
