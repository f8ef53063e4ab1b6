import type { StoreEvents } from '../../src/threads/processor/store.js'

/** What a test hears of a store: what it asks for, and a failure, which it does not expect. */
export function storeEvents(events: Partial<StoreEvents> = {}): StoreEvents {
  return {
    onFatal: (error) => {
      throw error
    },
    onNotice: () => {},
    onDeleted: () => {},
    onDamaged: () => {},
    onStarved: () => {},
    onBytes: () => {},
    ...events,
  }
}
