/**
 * Which connections have places on the port for the primary's messages, and who leaves for a newcomer. Pure: connections
 * are names.
 *
 * | the newcomer is of       | places                                     | who leaves when they are taken            |
 * |--------------------------|--------------------------------------------|-------------------------------------------|
 * | our primary's address    | OWN_PRIMARY_CONNECTIONS_MAX                | one of the same address                   |
 * | another primary's, as the committee file says | SOURCE_CONNECTIONS_MAX for each | one of the same address                 |
 * | any other address        | SOURCE_CONNECTIONS_MAX for each source, and | one of the same source, or else of the    |
 * |                          | STRANGER_CONNECTIONS_MAX for all of them   | source that has the most                  |
 *
 * The one that leaves is the one that never sent a message that was taken, the oldest first, or else the one whose last
 * such message is the longest ago. So a newcomer always gets in, nobody loses a place to another class, and a primary that
 * speaks keeps its place whatever is opened beside it.
 */
import { OWN_PRIMARY_CONNECTIONS_MAX, SOURCE_CONNECTIONS_MAX, STRANGER_CONNECTIONS_MAX } from './limits.js'

export type SourceClass = 'own-primary' | 'primary' | 'stranger'

interface Source<C> {
  readonly name: string
  readonly isStranger: boolean
  /** Never sent what was taken, the oldest first. */
  readonly mute: Set<C>
  /** By when they last did, the longest ago first. */
  readonly speaking: Set<C>
}

export class PrimaryPlaces<C> {
  private readonly sources = new Map<string, Source<C>>()
  private readonly sourceOf = new Map<C, Source<C>>()
  private strangers = 0

  get size(): number {
    return this.sourceOf.size
  }

  /** A connection of this source has come. Returns the one that leaves for it, which has no place any more. */
  enter(connection: C, host: string, sourceClass: SourceClass): C | undefined {
    // By class too: an address that was a stranger's may be a primary's now, and must not be counted with it.
    const name = `${sourceClass} ${host}`
    const source = this.sources.get(name) ?? {
      name,
      isStranger: sourceClass === 'stranger',
      mute: new Set(),
      speaking: new Set(),
    }
    const victim = this.victimFor(source, sourceClass)
    if (victim !== undefined) this.leave(victim)
    this.sources.set(name, source)
    source.mute.add(connection)
    this.sourceOf.set(connection, source)
    if (source.isStranger) this.strangers += 1
    return victim
  }

  /** A message of the connection was taken. */
  spoke(connection: C): void {
    const source = this.sourceOf.get(connection)
    if (source === undefined) return
    source.mute.delete(connection)
    source.speaking.delete(connection)
    source.speaking.add(connection)
  }

  leave(connection: C): void {
    const source = this.sourceOf.get(connection)
    if (source === undefined) return
    this.sourceOf.delete(connection)
    source.mute.delete(connection)
    source.speaking.delete(connection)
    if (source.isStranger) this.strangers -= 1
    if (count(source) === 0) this.sources.delete(source.name)
  }

  private victimFor(source: Source<C>, sourceClass: SourceClass): C | undefined {
    const max = sourceClass === 'own-primary' ? OWN_PRIMARY_CONNECTIONS_MAX : SOURCE_CONNECTIONS_MAX
    if (count(source) >= max) return oldest(source)
    if (sourceClass !== 'stranger' || this.strangers < STRANGER_CONNECTIONS_MAX) return undefined
    let hoarder = source
    for (const other of this.sources.values()) if (other.isStranger && count(other) > count(hoarder)) hoarder = other
    return oldest(hoarder)
  }
}

function count<C>({ mute, speaking }: Source<C>): number {
  return mute.size + speaking.size
}

function oldest<C>({ mute, speaking }: Source<C>): C | undefined {
  for (const connection of mute) return connection
  for (const connection of speaking) return connection
  return undefined
}
