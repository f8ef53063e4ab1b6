/**
 * Reads server-sent events from text that comes in pieces, as the standard says: lines end with CR, LF or both, an event with
 * an empty line. Pure.
 */
import { EVENT_CHARS_MAX } from './limits.js'

export interface ServerSentEvent {
  /** The last id that came, with this event or before it; empty if none did. */
  readonly id: string
  /** Whether it came with this event. */
  readonly hasOwnId: boolean
  /** `message` unless it is named. */
  readonly event: string
  readonly data: string
}

export class ServerSentEvents {
  /** What came of a line that is not over, in the pieces in which it came: a long one is put together once. */
  private rest: string[] = []
  /** Characters of the event that is not over, without `rest`. */
  private chars = 0
  private data: string[] = []
  private event = ''
  private id = ''
  private hasOwnId = false
  private isStart = true
  private restChars = 0
  private endsWithCr = false

  /**
   * The events that this piece ends.
   *
   * @throws RangeError if one is larger than a gateway sends
   */
  push(text: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = []
    this.rest.push(text)
    this.restChars += text.length
    if (/[\r\n]/.test(text) || this.endsWithCr) {
      const lines = this.joined().split(/\r\n|\n|\r(?!$)/)
      const rest = lines.pop()!
      // A CR at the end may be half of a line's end.
      this.endsWithCr = rest.endsWith('\r')
      this.rest = [rest]
      this.restChars = rest.length
      for (const line of lines) {
        const event = this.line(line)
        if (event !== undefined) events.push(event)
      }
    }
    if (this.chars + this.restChars > EVENT_CHARS_MAX) {
      throw new RangeError(`an event of more than ${EVENT_CHARS_MAX} characters`)
    }
    return events
  }

  /** Without the mark that a text may begin with. */
  private joined(): string {
    const text = this.rest.join('')
    if (!this.isStart) return text
    this.isStart = false
    return text.startsWith('\uFEFF') ? text.slice(1) : text
  }

  private line(line: string): ServerSentEvent | undefined {
    if (line === '') return this.end()
    this.chars += line.length
    const colon = line.indexOf(':')
    if (colon === 0) return undefined
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') this.data.push(value)
    else if (field === 'event') this.event = value
    else if (field === 'id' && !value.includes('\0')) {
      this.id = value
      this.hasOwnId = true
    }
    return undefined
  }

  private end(): ServerSentEvent | undefined {
    const { data, event, hasOwnId, id } = this
    this.data = []
    this.event = ''
    this.hasOwnId = false
    this.chars = 0
    return data.length === 0 ? undefined : { id, hasOwnId, event: event || 'message', data: data.join('\n') }
  }
}
